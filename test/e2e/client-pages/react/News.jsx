import { useEchoPublic } from '@laravel/echo-react'
import { useEffect } from 'react'

export function News() {
  const { channel } = useEchoPublic('news', 'Announced', telling('later'))
  useEffect(() => void channel().subscribed(telling('ready')), [channel])
  return <p>News</p>
}
