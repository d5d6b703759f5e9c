import type { Publication } from '../../broker/broker.ts'
import { encodeBroadcast, jsonOrString } from '../../channels/broadcast.ts'
import { type Channel, parseChannel } from '../../channels/channel.ts'
import { GatewayError } from '../../errors.ts'
import type { Services } from '../services.ts'
import { type Attribute, readInfo } from './info.ts'
import { invalid } from './signed-request.ts'

/** What somebody publishes, on which channels, and what he wants to know of them. */
export type Event = {
  readonly name: string
  readonly data: string
  readonly channels: readonly Channel[]
  /** The connection that shall not receive it. */
  readonly socketId: string | null
  readonly info: ReadonlySet<Attribute>
  /** Not one of Pusher's: what comes again with the same key is not published again. */
  readonly idempotencyKey: string | null
}

/** Pusher's limits. */
const MAX_CHANNELS = 100
const MAX_NAME_LENGTH = 200
const MAX_KEY_LENGTH = 128
const SOCKET_ID = /^\d+\.\d+$/
const OFFERED = ['user_count', 'subscription_count'] as const

/** The event in the members of a JSON object, on `channels` or on `channel`. Throws when it is none. */
export function readEvent(services: Services, body: Readonly<Record<string, unknown>>): Event {
  const { channel } = body
  const channels = body.channels ?? [channel]
  if (!Array.isArray(channels) || channels.length === 0 || channels.length > MAX_CHANNELS) {
    throw invalid(`Name the channel, or up to ${MAX_CHANNELS} channels.`)
  }
  return {
    ...readContent(services, body),
    channels: [...new Set(channels)].map((name) => readChannel(services, name)),
  }
}

/** The same on the one channel it names: an event of a batch. */
export function readBatchEvent(services: Services, body: Readonly<Record<string, unknown>>): Event {
  if ((body.channels ?? null) !== null) throw invalid('An event of a batch names one channel, as channel.')
  return { ...readContent(services, body), channels: [readChannel(services, body.channel)] }
}

/** What goes through the broker. */
export function publicationOf({ name, data, channels, socketId, idempotencyKey }: Event): Publication {
  return {
    channels: channels.map((channel) => channel.name),
    payload: encodeBroadcast(name, jsonOrString(data), socketId),
    once: idempotencyKey,
  }
}

function readContent({ config }: Services, body: Readonly<Record<string, unknown>>): Omit<Event, 'channels'> {
  const { name, data, socket_id: socketId = null, info, idempotency_key: idempotencyKey = null } = body
  if (!isText(name, MAX_NAME_LENGTH)) {
    throw invalid(`name must be the event's name, at most ${MAX_NAME_LENGTH} characters.`)
  }
  if (typeof data !== 'string') throw invalid('data must be a text; put JSON into it as a text.')
  if (Buffer.byteLength(data) > config.maxEventBytes) {
    throw new GatewayError('body_too_large', {
      message: `The data of an event has at most ${config.maxEventBytes} bytes.`,
    })
  }
  if (socketId !== null && !(typeof socketId === 'string' && SOCKET_ID.test(socketId))) {
    throw invalid('socket_id must look like 1234.5678.')
  }
  if (idempotencyKey !== null && !isText(idempotencyKey, MAX_KEY_LENGTH)) {
    throw invalid(`idempotency_key must be a text of 1 to ${MAX_KEY_LENGTH} characters.`)
  }
  return { name, data, socketId, info: readInfo(info, OFFERED), idempotencyKey }
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= maxLength
}

function readChannel({ rules }: Services, name: unknown): Channel {
  if (typeof name !== 'string') throw invalid('Channels must be texts.')
  const channel = parseChannel(name, rules)
  if ('invalid' in channel) throw new GatewayError('invalid_channel', { message: channel.invalid })
  return channel
}
