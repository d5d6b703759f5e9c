/**
 * STANDS IN FOR LARAVEL, so that this example needs no PHP. Nothing of this belongs into an application: whoever
 * opens `/as/Ada/` is Ada. What Laravel does in its place is said at each part.
 */

import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Plugin } from 'vite'

/** Laravel: PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET in `.env`. They never reach the page. */
const APP = { id: 'local', key: 'local', secret: 'local' }

const PAGE = /^\/as\/(\w{1,20})\/$/
const ACTION = /^\/as\/\w{1,20}\/(orders|invoices|notifications|messages)$/

export function laravel(gateway: string): Plugin {
  return {
    name: 'stand-in-for-laravel',
    configureServer({ middlewares }) {
      middlewares.use((request, response, next) => {
        const answer = route(gateway, request, response)
        if (answer === null) return next()
        answer.catch(next)
      })
    },
  }
}

/** Laravel: routes/web.php. Null for what Vite answers. */
function route(gateway: string, request: IncomingMessage, response: ServerResponse): Promise<unknown> | null {
  const path = (request.url ?? '').replace(/\?.*/, '')
  if (path === '/') return send(response, 302, '', { location: '/as/Ada/' })
  if (request.method === 'POST' && path === '/broadcasting/auth') return authorize(request, response)
  const [, action] = ACTION.exec(path) ?? []
  if (request.method === 'POST' && action) return act(gateway, action as Action, request, response)
  logIn(path, response)
  return null
}

/** Laravel: the session. This cookie is for one path, so that two tabs of one browser can be two people. */
function logIn(path: string, response: ServerResponse): void {
  const [page, user] = PAGE.exec(path) ?? []
  if (page) response.setHeader('set-cookie', `user=${user}; Path=${page}; HttpOnly; SameSite=Lax`)
}

function userOf({ headers }: IncomingMessage): string | undefined {
  return /(?:^|; )user=(\w{1,20})/.exec(headers.cookie ?? '')?.[1]
}

/** Laravel: `Broadcast::routes()`. The gateway asks about every guarded channel, with the cookie of who listens. */
async function authorize(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const form = new URLSearchParams(await bodyOf(request))
  const grant = mayListen(form.get('channel_name') ?? '', userOf(request))
  return send(response, grant === null ? 403 : 200, JSON.stringify(grant ?? { message: 'This channel is not yours.' }))
}

/** Laravel: routes/channels.php. */
function mayListen(channel: string, user: string | undefined): unknown {
  if (user === undefined) return null
  if (channel === `private-App.Models.User.${user}`) return true
  if (channel === 'presence-room.1') return { channel_data: { user_id: user, user_info: { id: user, name: user } } }
  return null
}

type Action = 'orders' | 'invoices' | 'notifications' | 'messages'

let count = 0

/** Laravel: the controllers. */
async function act(
  gateway: string,
  action: Action,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<unknown> {
  const user = userOf(request)
  if (user === undefined) return send(response, 401)
  const { text = '' } = JSON.parse((await bodyOf(request)) || '{}')
  const own = `private-App.Models.User.${user}`
  count += 1
  const events = {
    // OrderShipped::dispatch($order)
    orders: { channel: 'orders', name: 'App\\Events\\OrderShipped', data: { id: count } },
    // InvoicePaid::dispatch($invoice)
    invoices: { channel: own, name: 'App\\Events\\InvoicePaid', data: { id: count, amount: 100 + (count % 9) * 10 } },
    // $user->notify(new ParcelOnItsWay)
    notifications: {
      channel: own,
      name: 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated',
      data: { id: randomUUID(), type: 'App\\Notifications\\ParcelOnItsWay', text: `Parcel ${count} is on its way.` },
    },
    // broadcast(new MessageSent($user, $text))->toOthers()
    messages: {
      channel: 'presence-room.1',
      name: 'App\\Events\\MessageSent',
      data: { from: user, text: String(text).slice(0, 500) },
      socket_id: request.headers['x-socket-id'],
    },
  }
  return send(response, await publish(gateway, events[action]))
}

type Broadcast = { channel: string; name: string; data: unknown; socket_id?: string | string[] | undefined }

/** Laravel: its pusher driver. https://pusher.com/docs/channels/library_auth_reference/rest-api/ */
async function publish(gateway: string, { channel, data, ...rest }: Broadcast): Promise<number> {
  const path = `/apps/${APP.id}/events`
  const body = JSON.stringify({ ...rest, channels: [channel], data: JSON.stringify(data) })
  const query = new URLSearchParams({
    auth_key: APP.key,
    auth_timestamp: `${Math.floor(Date.now() / 1000)}`,
    auth_version: '1.0',
    body_md5: createHash('md5').update(body).digest('hex'),
  })
  query.set('auth_signature', createHmac('sha256', APP.secret).update(`POST\n${path}\n${query}`).digest('hex'))
  const headers = { 'content-type': 'application/json' }
  const { ok } = await fetch(`${gateway}${path}?${query}`, { method: 'POST', headers, body })
  return ok ? 204 : 502
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  return body
}

async function send(response: ServerResponse, status: number, body = '', headers = {}): Promise<void> {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}
