import { isCacheChannel, type LastEvent } from '../cache/last-events.ts'
import { parseBroadcast } from '../channels/broadcast.ts'
import type { Channel } from '../channels/channel.ts'
import { cachedFrame } from '../hub/frames.ts'
import type { LastTold } from '../hub/last-told.ts'
import type { Subscriber, Told } from '../hub/subscriber.ts'
import type { Services } from './services.ts'

/** Of most streams: one for each would stay as long as it does. */
const NONE: ReadonlySet<string> = new Set()
/** A page waits so long for the last event of a cache channel, and then does without. */
const PATIENCE_MS = 1000

/** Public channels whose page is to be told the last event first. */
export function recalledOf(channels: readonly Channel[], isNew: (name: string) => boolean): ReadonlySet<string> {
  const recalled = channels.filter(({ kind, name }) => kind === 'public' && isCacheChannel(name) && isNew(name))
  return recalled.length === 0 ? NONE : new Set(recalled.map(({ name }) => name))
}

/** True for a channel of a stream whose page is to be told the last event first. */
export function isRecalled(subscriber: Subscriber, channel: string): boolean {
  return isCacheChannel(channel) && subscriber.beginsAnew(channel)
}

/** Grants public cache channels, each as soon as its last event is known. */
export function grantRecalled(
  services: Services,
  subscriber: Subscriber,
  channels: ReadonlySet<string>,
  onDecided: () => void,
): void {
  for (const channel of channels) {
    recall(services, channel)
      .then((told) => {
        subscriber.grant(channel, { allowed: true }, told)
        onDecided()
      })
      .catch((error: unknown) => services.logger.error({ err: error }, 'a cache channel was not granted'))
  }
}

/** What a page is told first of a cache channel: nothing when nobody knows. Never rejects. */
export async function recall(services: Services, channel: string): Promise<Pick<Told, 'last'>> {
  const { lastEvents, logger, webhooks } = services
  try {
    const event = await withPatience(lastEvents.read(channel))
    const last = event === null ? null : lastTold(channel, event)
    if (last === null) webhooks.tell({ name: 'cache_miss', channel })
    return { last }
  } catch (error) {
    logger.debug({ err: error, channel }, 'the last event of a cache channel could not be looked up')
    return {}
  }
}

async function withPatience<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const impatience = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${PATIENCE_MS} ms.`)), PATIENCE_MS)
  })
  return Promise.race([work, impatience]).finally(() => clearTimeout(timer))
}

// Pages that come together share what was read, and one frame.
const TOLD = new WeakMap<LastEvent, LastTold | null>()

function lastTold(channel: string, event: LastEvent): LastTold | null {
  let told = TOLD.get(event)
  if (told === undefined) {
    const broadcast = parseBroadcast(event.payload)
    told = broadcast && { frame: cachedFrame(channel, broadcast), position: event.position, socket: broadcast.socket }
    TOLD.set(event, told)
  }
  return told
}
