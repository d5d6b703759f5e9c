import type { Decision } from '../../src/auth/authorizer.ts'
import { kindOf } from '../../src/channels/channel.ts'
import { type Answer, ask } from './ask.ts'
import type { FakeQuestion } from './fake-authorizer.ts'
import { openStream, type SseClient, type SseFrame } from './sse-client.ts'

type Headers = Record<string, string>

/** A page with a stream, and what it needs to say something. */
export type TalkingPage = {
  readonly url: string
  readonly stream: SseClient
  readonly channel: string
  readonly socketId: string
  readonly key: string
  readonly headers: Headers
}

export type PageOptions = {
  /** Who it is, by `Authorization`; null for a page that does not say. Default `ada`. */
  user?: string | null
  headers?: Headers
  /** Further parameters of its stream. */
  query?: Record<string, string>
  /** Comes back with the identity of this page. */
  as?: Pick<TalkingPage, 'socketId' | 'key'>
}

/** Laravel that grants everything and takes the token for the user's id. */
export function grantByToken({ channel, credentials }: FakeQuestion): Decision {
  const id = credentials.headers.authorization?.replace('Bearer ', '') ?? 'nobody'
  return kindOf(channel.name) === 'presence' ? { allowed: true, member: { id, info: { name: id } } } : { allowed: true }
}

/** Opens a stream and resolves when it has said who the page is. */
export async function openPage(
  { url }: { readonly url: string },
  channels: string,
  { user = 'ada', headers: more = {}, query = {}, as }: PageOptions = {},
): Promise<TalkingPage> {
  const headers = { ...(user === null ? {} : { authorization: `Bearer ${user}` }), ...more }
  const known = as === undefined ? {} : { socketId: as.socketId, key: as.key }
  const stream = await openStream(`${url}/stream?${new URLSearchParams({ channels, ...query, ...known })}`, { headers })
  const { socketId, key } = (await stream.next('connected')).data
  return { url, stream, channel: channels.split(',')[0] ?? '', socketId, key, headers }
}

/** The same, when its last channel is decided as well. */
export async function joinPage(gateway: { readonly url: string }, channels: string, options?: PageOptions) {
  const page = await openPage(gateway, channels, options)
  await page.stream.next('ping')
  return page
}

/** What `subscribed` said of a channel. */
export function subscribedTo({ stream }: TalkingPage, channel: string): SseFrame['data'] {
  return stream.frames.find(({ event, data }) => event === 'subscribed' && data.channel === channel)?.data
}

export type Saying = {
  /** Goes out instead of the object. */
  body?: string
  headers?: Headers
  method?: string
}

export function whisper(page: TalkingPage, change: object = {}, saying: Saying = {}): Promise<Answer> {
  return say(page, '/whisper', { channel: page.channel, event: 'client-typing', data: {}, ...change }, saying)
}

export function leave(page: TalkingPage, change: object = {}, saying: Saying = {}): Promise<Answer> {
  return say(page, '/leave', change, saying)
}

function say(
  page: TalkingPage,
  path: string,
  told: object,
  { body, headers, method = 'POST' }: Saying,
): Promise<Answer> {
  const { url, socketId, key } = page
  return ask(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...page.headers, ...headers },
    body: body ?? JSON.stringify({ socketId, key, ...told }),
  })
}
