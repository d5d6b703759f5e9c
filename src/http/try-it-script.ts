/** What the try-it page does, as the browser reads it. Whatever arrives is shown as text, never as markup. */
export const TRY_IT_SCRIPT = String.raw`
'use strict'

const MAX_SHOWN = 200
const MAX_NAMED = 10
const RETRY_MS = 3000
// A browser opens six connections to one HTTP/1.1 host; what comes after them waits.
const LONG_CONNECTING_MS = 5000

const byId = (id) => document.getElementById(id)
const home = new URL('./', location.href).href
const channels = new Map() // name: what became of it
let source = null
let phase = 'connecting'
let since = Date.now()
let heardAt = Date.now()
let heartbeatMs = 15000
let pingAt = null
let lastId = ''
let attempts = 0
let retryTimer = 0

// ---- connection

function listen() {
  clearTimeout(retryTimer)
  if (source) source.close()
  for (const name of channels.keys()) channels.set(name, 'asking')
  attempts = 0
  heardAt = Date.now()
  source = new EventSource(streamUrl(lastId ? { lastEventId: lastId } : {}))
  source.onopen = () => { attempts = 0 }
  source.onerror = lost
  source.onmessage = hear(showBroadcast)
  for (const [name, react] of Object.entries(frames)) source.addEventListener(name, hear(react))
  turn('connecting', 'Waiting for the first bytes of the stream.')
}

function streamUrl(further) {
  // Channels separated by plain commas, as a person would write them.
  const names = [...channels.keys()].map(encode).join(',')
  const rest = Object.entries(further).map(([name, value]) => '&' + name + '=' + encode(value))
  return 'stream?channels=' + names + rest.join('')
}

// An apostrophe would end the quoted address of the curl line.
function encode(text) {
  return encodeURIComponent(text).replaceAll("'", '%27')
}

function hear(react) {
  return (event) => {
    heardAt = Date.now()
    if (event.lastEventId) lastId = event.lastEventId
    react(JSON.parse(event.data), event)
    showConnection()
  }
}

function lost(event) {
  if (event.target !== source) return
  for (const name of channels.keys()) channels.set(name, 'asking')
  if (source.readyState === EventSource.CLOSED) return void explain()
  attempts += 1
  const tries = attempts > 1 ? ' (attempt ' + attempts + ')' : ''
  turn('reconnecting', 'The connection was lost; the browser tries again by itself' + tries + '.')
}

// EventSource does not tell why it was refused. The same question as a long-poll does.
async function explain() {
  const asked = source
  let why = 'The gateway does not answer.'
  let isFinal = false
  try {
    const response = await fetch(streamUrl({ mode: 'poll', wait: 0 }))
    if (!response.ok) why = await sentenceOf(response)
    isFinal = response.status >= 400 && response.status < 500 && response.status !== 429
  } catch {}
  if (asked !== source) return
  if (isFinal) return turn('refused', why)
  turn('reconnecting', why + ' This page tries again in ' + RETRY_MS / 1000 + ' s.')
  retryTimer = setTimeout(listen, RETRY_MS)
}

async function sentenceOf(response) {
  const body = await response.json().catch(() => null)
  return body?.error?.message ?? 'The answer was HTTP ' + response.status + '.'
}

// ---- what the gateway says

const frames = {
  connected(data) {
    heartbeatMs = data.heartbeatMs
    byId('socket-id').textContent = data.socketId
    turn('open', 'The stream is open; events appear as they are broadcast.')
    const resumed = { fresh: 'Connected.', ok: 'Connected again; nothing was missed.', gap: 'Connected again.' }
    note('', resumed[data.resume] ?? 'Connected.')
  },
  subscribed(data) {
    channels.set(data.channel, 'listening')
    showChannels()
    if (/^(private|presence)-/.test(data.channel)) {
      note('', 'Laravel lets you listen to ' + data.channel + (data.me ? ', as user ' + data.me : '') + '.' + whoIsThere(data))
    }
  },
  joining(data) {
    note('', memberName(data.member) + ' has joined ' + data.channel + '.')
  },
  leaving(data) {
    note('', memberName(data.member) + ' has left ' + data.channel + '.')
  },
  revoked(data) {
    channels.set(data.channel, 'revoked')
    showChannels()
    note('refusal', data.channel + ' was withdrawn (' + data.status + ' ' + data.code + '): ' + data.message)
  },
  denied(data) {
    channels.set(data.channel, 'denied')
    showChannels()
    const later = data.retry ? ' The answer may be another one later: press Listen to ask again.' : ''
    note('refusal', data.channel + ' is denied (' + data.status + ' ' + data.code + '): ' + data.message + later)
  },
  cache_miss(data) {
    note('', 'There is no last event on ' + data.channel + '.')
  },
  ping(data) {
    pingAt = Date.now()
  },
  gap(data) {
    const where = data.channels === null ? 'any channel' : data.channels.join(', ')
    note('warn', 'Messages on ' + where + ' may be missing: ' + (gapReasons[data.reason] ?? data.reason) + '.')
  },
  bye(data) {
    const why = byeReasons[data.reason] ?? data.reason
    note('warn', 'The gateway ended the stream: ' + why + '. The browser comes back in ' + (data.retryAfterMs / 1000).toFixed(1) + ' s.')
  },
}

function whoIsThere({ members, count }) {
  if (!members) return ''
  const named = members.slice(0, MAX_NAMED).map(memberName)
  const others = (count ?? members.length) - named.length
  return ' There: ' + named.join(', ') + (others > 0 ? ' and ' + others + ' more' : '') + '.'
}

function memberName({ id, info }) {
  return typeof info?.name === 'string' ? info.name + ' (user ' + id + ')' : 'User ' + id
}

const gapReasons = {
  expired: 'they are older than what the gateway keeps',
  restart: 'the gateway or its Redis was started anew',
  'relay-lost': 'the gateway was cut off from Redis for a while',
  overflow: 'there were more than the gateway keeps',
  denied: 'the channel is refused for now',
}

const byeReasons = {
  drain: 'it is stopping',
  shutdown: 'it is stopping',
  slow: 'this page read too slowly',
  left: 'the page said that it was gone',
  replaced: 'another stream took its place',
  expired: 'it was open for long enough',
  overload: 'it is full',
}

// ---- the list

function showBroadcast(message, event) {
  const item = document.createElement('li')
  item.className = 'event'
  const head = line('div', 'head')
  head.append(line('b', '', message.event), line('span', 'channel', message.channel))
  if (message.userId) head.append(line('span', 'from', 'from user ' + message.userId))
  if (message.cached) head.append(line('span', 'from', 'the last event'))
  head.append(clock())
  item.append(head, line('pre', '', dataText(message, event.data)))
  // A whisper has no id, nor has the last event; the browser shows the last one there was.
  if (event.lastEventId && !message.event.startsWith('client-') && !message.cached) item.append(line('p', 'id', 'id ' + event.lastEventId))
  show(item)
}

// As Laravel wrote it. Indented only when that does not change a digit.
function dataText(message, text) {
  const head = '{"channel":' + JSON.stringify(message.channel) + ',"event":' + JSON.stringify(message.event) + ',"data":'
  const tail = message.userId ? ',"userId":' + JSON.stringify(message.userId) + '}' : message.cached ? ',"cached":true}' : '}'
  const written = JSON.stringify(message.data)
  if (text.startsWith(head) && !text.startsWith(head + written)) return text.slice(head.length, -tail.length)
  return written.length > 72 ? JSON.stringify(message.data, null, 2) : written
}

function note(kind, sentence) {
  const item = document.createElement('li')
  item.className = 'note ' + kind
  const head = line('div', 'head')
  head.append(line('span', '', sentence), clock())
  item.append(head)
  show(item)
}

function show(item) {
  const list = byId('list')
  list.prepend(item)
  while (list.children.length > MAX_SHOWN) list.lastChild.remove()
  showEmpty()
}

function showEmpty() {
  const { children } = byId('list')
  byId('clear').hidden = children.length === 0
  byId('empty').hidden = [...children].some((item) => item.classList.contains('event'))
}

function line(tag, className, text = '') {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.textContent = text
  return element
}

function clock() {
  return line('time', '', new Date().toLocaleTimeString())
}

// ---- the panels

function turn(next, sentence) {
  if (next !== phase || next === 'connecting') since = Date.now()
  phase = next
  byId('phase').dataset.phase = next
  byId('phase').textContent = next[0].toUpperCase() + next.slice(1)
  byId('says').textContent = sentence
  byId('says').className = next === 'refused' ? 'bad' : ''
  byId('again').hidden = next !== 'refused'
  showChannels()
  showConnection()
}

function showConnection() {
  byId('since').textContent = new Date(since).toLocaleTimeString() + ' (' + ago(since) + ')'
  byId('last-id').textContent = lastId || '–'
  byId('last-ping').textContent = pingAt === null ? 'none yet, one comes after ' + heartbeatMs / 1000 + ' s of silence' : ago(pingAt) + ' ago'
}

function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - time) / 1000))
  return seconds < 120 ? seconds + ' s' : Math.floor(seconds / 60) + ' min'
}

function showChannels() {
  const words = { asking: phase === 'refused' ? '' : '…', listening: 'listening', denied: 'denied', revoked: 'withdrawn' }
  byId('chosen').replaceChildren(...[...channels].map(([name, state]) => {
    const item = document.createElement('li')
    item.dataset.state = state
    const remove = line('button', '', '×')
    remove.setAttribute('aria-label', 'Stop listening to ' + name)
    remove.onclick = () => { channels.delete(name); choose() }
    item.append(line('span', '', name), line('em', '', words[state]), remove)
    return item
  }))
}

function showCommands() {
  byId('curl').textContent = "curl -N '" + home + streamUrl({}) + "'"
  byId('curl-hint').hidden = ![...channels.keys()].some((name) => /^(private|presence)-/.test(name))
  const command = byId('command')
  if (!command) return
  const words = ['channel', 'event', 'data'].map((id) => byId(id)?.value || examples[id])
  const flags = command.dataset.flags.replace('URL', home.replace(/\/$/, ''))
  command.textContent = 'npx laravel-echo-sse-server publish ' + words.map(quote).join(' ') + ' ' + flags
}

const examples = { channel: 'orders', event: 'OrderShipped', data: '{"id":1}' }

function quote(word) {
  return /^[\w.,:@-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'"
}

// ---- what the visitor does

function choose() {
  const names = [...channels.keys()].map(encode).join(',')
  history.replaceState(null, '', '?channels=' + names)
  showCommands()
  listen()
}

function add(list) {
  for (const name of list.split(/[\s,]+/)) if (name) channels.set(name, 'asking')
}

async function publish() {
  const [channel, event, data] = ['channel', 'event', 'data'].map((id) => byId(id).value)
  try {
    const response = await fetch(home, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ channel, event, data }),
    })
    if (!response.ok) return tell('bad', await sentenceOf(response))
    const isHeard = channels.get(channel) === 'listening'
    tell('good', isHeard ? 'Sent.' : 'Sent, but this page does not listen to ' + channel + '.')
  } catch {
    tell('bad', 'The gateway does not answer; is it running?')
  }
}

function tell(className, sentence) {
  byId('result').className = 'hint ' + className
  byId('result').textContent = sentence
}

byId('choose').onsubmit = (event) => {
  event.preventDefault()
  add(byId('name').value)
  byId('name').value = ''
  choose()
}
byId('again').onclick = listen
byId('clear').onclick = () => { byId('list').replaceChildren(); showEmpty() }
if (byId('publish')) {
  byId('publish').oninput = showCommands
  byId('publish').onsubmit = (event) => { event.preventDefault(); publish() }
  byId('data').onkeydown = (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) publish() }
}
for (const button of document.querySelectorAll('.command button')) {
  button.onclick = async () => {
    const words = button.previousElementSibling
    getSelection().selectAllChildren(words)
    // Without https only localhost has a clipboard; elsewhere the line is selected at least.
    await navigator.clipboard?.writeText(words.textContent).catch(() => {})
  }
}

setInterval(() => {
  const waitedMs = Date.now() - since
  if (phase === 'connecting' && waitedMs > LONG_CONNECTING_MS) {
    byId('says').textContent = 'Still connecting. A browser keeps six connections to one address: are there other tabs like this?'
  }
  // TCP alone takes minutes to notice that the other side is gone.
  if (phase === 'open' && Date.now() - heardAt > 2.5 * heartbeatMs) {
    note('warn', 'Nothing was heard for ' + ago(heardAt) + '; connecting anew.')
    listen()
  }
  showConnection()
}, 1000)

byId('transport').textContent = 'EventSource, ' + (performance.getEntriesByType('navigation')[0]?.nextHopProtocol || 'HTTP')
add(new URLSearchParams(location.search).get('channels') ?? 'orders')
showCommands()
listen()
`
