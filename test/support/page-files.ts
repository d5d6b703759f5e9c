import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const CLIENT = join(import.meta.dirname, '../../client/dist/echo-sse.iife.js')

export type PageFile = { readonly type: string; readonly text: string }

/** A site whose page has the client as it is shipped, and a way to talk to a test: see live-page.ts. */
export function pageFiles(): Readonly<Record<string, PageFile>> {
  if (!existsSync(CLIENT)) throw new Error('The client is not built; run `npm run build:client`.')
  return {
    '/index.html': html(`<script src="/client.js"></script><script src="/page.js"></script>`),
    '/elsewhere.html': html('<p>Another page</p>'),
    '/client.js': { type: 'text/javascript', text: readFileSync(CLIENT, 'utf8') },
    '/page.js': { type: 'text/javascript', text: PAGE },
    '/worker.js': { type: 'text/javascript', text: WORKER },
  }
}

function html(body: string): PageFile {
  const text = `<!doctype html><title>A page</title><link rel="icon" href="data:,"><body>${body}</body>`
  return { type: 'text/html', text }
}

/** Passes everything on. */
const WORKER = `
  addEventListener('install', () => skipWaiting())
  addEventListener('activate', (event) => event.waitUntil(clients.claim()))
  addEventListener('fetch', (event) => event.respondWith(fetch(event.request)))`

/** A client, and a note of everything it is told, with the time since the page began. */
const PAGE = `
  const PATIENCE_MS = 20000
  const told = []
  const asked = []
  const looks = new Set()
  let pusher

  function note(line) {
    told.push({ line, at: performance.now() })
    for (const look of [...looks]) look()
  }

  // When a request was made, before whatever delays it on its way.
  const browser = { fetch, EventSource }
  globalThis.fetch = (...given) => {
    asked.push(performance.now())
    return browser.fetch.call(globalThis, ...given)
  }
  globalThis.EventSource = class extends EventSource {
    constructor(...given) {
      asked.push(performance.now())
      super(...given)
    }
  }

  function start(options) {
    pusher = new EchoSSE.Pusher('key', {
      url: '/sse',
      onGap: ({ channels, reason }) => note('gap ' + channels + ' ' + reason),
      onError: ({ message }) => note('error ' + message),
      ...options,
    })
    pusher.connection.bind('status', () => note(pusher.connection.status))
    pusher.connection.bind('transport_change', ({ transport }) => note('transport ' + transport))
  }

  function join(name) {
    const channel = pusher.subscribe(name)
    channel.bind('pusher:subscription_succeeded', ({ members }) => note('subscribed ' + name + listed(members)))
    channel.bind('pusher:cache_miss', () => note('nothing yet on ' + name))
    channel.bind('pusher:subscription_error', ({ status }) => note('refused ' + name + ' ' + status))
    channel.bind('pusher:member_added', ({ id }) => note('joining ' + name + ' ' + id))
    channel.bind('pusher:member_removed', ({ id }) => note('leaving ' + name + ' ' + id))
    channel.bind('client-typing', (data, { user_id }) => note(user_id + ' typed on ' + name + ' ' + data))
    channel.bind('App\\\\Events\\\\E', (data) => note(name + ' ' + JSON.stringify(data)))
  }

  function listed(members) {
    return members ? ' ' + Object.keys(members).sort() : ''
  }

  function until(isSo) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const answer = isSo()
        if (!answer) return
        clearTimeout(impatience)
        looks.delete(look)
        resolve(answer)
      }
      const impatience = setTimeout(() => {
        looks.delete(look)
        reject(new Error('It did not happen: ' + isSo + ' What did: ' + told.slice(-30).map(({ line }) => line).join('; ')))
      }, PATIENCE_MS)
      looks.add(look)
      look()
    })
  }

  function hears(line, times = 1) {
    return until(() => told.filter((one) => one.line === line).length >= times)
  }

  /** Changes its channels so many times, each as soon as the one before has been taken in. */
  async function wander(changes, prefix) {
    for (let change = 0; change < changes; change += 1) {
      join(prefix + change)
      if (change > 0) pusher.unsubscribe(prefix + (change - 1))
      await hears('subscribed ' + prefix + change)
    }
  }`
