import type { Config } from '../config/config.ts'
import { signRequest } from '../http/pusher-api/signature.ts'
import { PATHS } from '../protocol.ts'
import type { Message, Outcome } from './publication.ts'

const TIMEOUT_MS = 10_000

/** POSTs in Pusher's format; a sub-path of `base` is not part of what is signed. */
export async function publishByHttp(message: Message, config: Config, base: string): Promise<Outcome> {
  const { appId, appKey, appSecret } = config
  if (appId === null || appKey === null || appSecret === null) throw new Error('publishing by HTTP without credentials')
  const path = `${PATHS.apps}/${appId}/events`
  const body = bodyOf(message)
  const app = { id: appId, key: appKey, secret: appSecret }
  const query = signRequest({ method: 'POST', path, body, app, now: Date.now() })
  try {
    const response = await fetch(`${base.replace(/\/+$/, '')}${path}?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    return describe(message, base, response.status, await response.text())
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error)
    return {
      sentence: `${base} did not answer: ${cause.message || cause.name}. Is the gateway running there?`,
      failed: true,
    }
  }
}

/** `data` is JSON text in a string, so its numbers stay as they were written. */
function bodyOf({ channels, event, data, socketId }: Message): string {
  return JSON.stringify({
    name: event,
    channels,
    data,
    info: 'subscription_count',
    ...(socketId === null ? {} : { socket_id: socketId }),
  })
}

function describe({ channels, event }: Message, base: string, status: number, text: string): Outcome {
  const answer = parseObject(text)
  if (status !== 200 || answer === null) {
    const reason = messageOf(answer) ?? text.slice(0, 200).replace(/\s+/g, ' ')
    return { sentence: `${base} answered ${status}: ${reason}`, failed: true }
  }
  const counts = channels.map((channel) => countOf(answer, channel))
  if (counts.includes(null))
    return { sentence: `${event}: accepted by ${base} for ${channels.join(', ')}.`, failed: false }
  const heard = channels.map((channel, index) => `${counts[index]} on ${channel}`).join(', ')
  return { sentence: `${event}: streams that heard it: ${heard}.`, failed: false }
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function messageOf(answer: Record<string, unknown> | null): string | null {
  const error = answer?.error
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error
  return typeof message === 'string' ? message : null
}

/** How many streams hold the channel, where the gateway tells. */
function countOf(answer: Record<string, unknown>, channel: string): number | null {
  const channels = answer.channels as Record<string, { subscription_count?: unknown }> | undefined
  const count =
    channels !== undefined && Object.hasOwn(channels, channel) ? channels[channel]?.subscription_count : null
  return typeof count === 'number' ? count : null
}
