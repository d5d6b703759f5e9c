import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Channel, isEncrypted, parseChannel } from '../channels/channel.ts'
import { dataJsonOf, isWhisperEvent, parseObject, printWhisper, WHISPERS } from '../channels/own-traffic.ts'
import { GatewayError } from '../errors.ts'
import { PATHS } from '../protocol.ts'
import { acceptText, proveSocket } from './page-request.ts'
import { RateLimit } from './rate-limit.ts'
import type { Services } from './services.ts'

/** Pusher's limit for the name of an event. */
const MAX_NAME_LENGTH = 200
/** What a whisper's body holds beside its data and the name of the channel. */
const ENVELOPE_BYTES = 4096

/** `POST /whisper`: what a page says to the others on a guarded channel. Never stored, never back to the page. */
export function registerWhisper(app: FastifyInstance, services: Services): void {
  const { config, metrics, broker, grants, webhooks } = services
  const limit = new RateLimit(config.maxWhispersPerSecond, 'too_many_whispers')
  acceptText(app, ['application/json'])
  const bodyLimit = config.maxWhisperBytes + config.maxChannelBytes + ENVELOPE_BYTES
  app.post(PATHS.whisper, { bodyLimit }, async (request, reply) => {
    try {
      if (config.maxWhispersPerSecond === 0) throw new GatewayError('whisper_denied', { message: OFF })
      const { channel, event, dataJson, socketId } = readWhisper(services, request)
      limit.count(socketId)
      const grant = await grants.live(socketId, channel.name)
      if (grant === null) throw new GatewayError('not_subscribed')
      const userId = channel.kind === 'presence' ? (grant.member?.id ?? null) : null
      await broker.publish([WHISPERS], printWhisper({ channel: channel.name, event, dataJson, socketId, userId }))
      const told = { name: 'client_event', channel: channel.name, event, data: dataJson, socket_id: socketId } as const
      webhooks.tell(userId === null ? told : { ...told, user_id: userId })
    } catch (error) {
      metrics.whispers.inc({ outcome: error instanceof GatewayError ? error.code : 'internal' })
      throw error
    }
    metrics.whispers.inc({ outcome: 'ok' })
    return reply.status(204).send()
  })
}

type Asked = { readonly channel: Channel; readonly event: string; readonly dataJson: string; readonly socketId: string }

function readWhisper(services: Services, request: FastifyRequest): Asked {
  const text = String(request.body ?? '')
  const socketId = proveSocket(services, request, text)
  const { channel: name, event } = parseObject(text)
  if (!isWhisperEvent(event) || event.length > MAX_NAME_LENGTH) throw invalid(EVENT)
  if (typeof name !== 'string') throw invalid('channel must be the name of a channel.')
  const channel = parseChannel(name, services.rules)
  if ('invalid' in channel) throw new GatewayError('invalid_channel', { message: channel.invalid })
  if (channel.kind === 'public') throw new GatewayError('whisper_denied', { message: PUBLIC })
  if (isEncrypted(channel)) throw new GatewayError('whisper_denied', { message: ENCRYPTED })
  const dataJson = dataJsonOf(text)
  const { maxWhisperBytes } = services.config
  if (Buffer.byteLength(dataJson) > maxWhisperBytes) {
    throw new GatewayError('body_too_large', { message: `The data of a whisper has at most ${maxWhisperBytes} bytes.` })
  }
  return { channel, event, dataJson, socketId }
}

function invalid(message: string): GatewayError {
  return new GatewayError('invalid_body', { message })
}

const EVENT = `event must begin with client- and have at most ${MAX_NAME_LENGTH} characters.`
const PUBLIC = 'Public channels carry no whispers: nobody knows who is on them. Use a private or a presence channel.'
const OFF = 'This gateway carries no whispers: --max-whispers-per-second is 0.'
const ENCRYPTED = 'Encrypted channels carry no whispers: the gateway would read them.'
