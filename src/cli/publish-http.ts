import type { Config } from '../config/config.ts'
import type { Message, Outcome } from './publication.ts'
import { type Answer, describeRefusal, parseAnswer, postSigned } from './signed-post.ts'

/** POSTs in Pusher's format. */
export async function publishByHttp(message: Message, config: Config, base: string): Promise<Outcome> {
  const answer = await postSigned({ config, base, resource: 'events', body: bodyOf(message) })
  return 'sentence' in answer ? answer : describe(message, base, answer)
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

function describe({ channels, event }: Message, base: string, answer: Answer): Outcome {
  const content = parseAnswer(answer)
  if (answer.status !== 200 || content === null) return describeRefusal(base, answer)
  const counts = channels.map((channel) => countOf(content, channel))
  if (counts.includes(null))
    return { sentence: `${event}: accepted by ${base} for ${channels.join(', ')}.`, failed: false }
  const heard = channels.map((channel, index) => `${counts[index]} on ${channel}`).join(', ')
  return { sentence: `${event}: streams that heard it: ${heard}.`, failed: false }
}

/** How many streams hold the channel, where the gateway tells. */
function countOf(answer: Record<string, unknown>, channel: string): number | null {
  const channels = answer.channels as Record<string, { subscription_count?: unknown }> | undefined
  const count =
    channels !== undefined && Object.hasOwn(channels, channel) ? channels[channel]?.subscription_count : null
  return typeof count === 'number' ? count : null
}
