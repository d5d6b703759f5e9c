import { subscribe } from 'node:diagnostics_channel'

/** What would keep a server busy: requests, connections, and timers that are set while something is rendered. */
const seen = []

for (const name of ['net.client.socket', 'undici:request:create', 'http.client.request.start'])
  subscribe(name, () => seen.push(name))

globalThis.EventSource = class {
  constructor(url) {
    seen.push(`EventSource ${url}`)
  }
  addEventListener() {}
  close() {}
}

for (const name of ['setTimeout', 'setInterval']) {
  const original = globalThis[name]
  globalThis[name] = (...args) => {
    seen.push(name)
    return original(...args)
  }
}

// What a browser has and a server has not.
const isBrowser = process.argv.includes('--as-a-browser')
if (isBrowser) globalThis.self = globalThis

globalThis.report = (html) => {
  console.log(JSON.stringify({ html, seen }))
  if (isBrowser) process.exit()
}
