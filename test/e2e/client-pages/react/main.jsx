import { configureEcho, echo } from '@laravel/echo-react'
import { SsePusher } from 'laravel-echo-sse'
import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { Board } from './Board.jsx'
import { Ear } from './Ear.jsx'
import { News } from './News.jsx'

configureEcho({ broadcaster: 'reverb', Pusher: SsePusher, url: '/sse' })

/** What is on the page. Tests change it by `show`. */
function App() {
  const [shown, setShown] = useState({ board: '', version: 1, ears: [], number: 1, orders: 1, news: false })
  globalThis.show = (change) => setShown((before) => ({ ...before, ...change }))
  return (
    <>
      {shown.board && <Board key={shown.version} room={shown.board} />}
      {shown.ears.map((name) => (
        <Ear key={name} name={name} number={shown.number} orders={shown.orders} />
      ))}
      {shown.news && <News />}
    </>
  )
}

globalThis.echo = echo
createRoot(document.body.appendChild(document.createElement('main'))).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
