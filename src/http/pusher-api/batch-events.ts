import { publicationOf, readBatchEvent } from './event.ts'
import { describeOne } from './info.ts'
import type { Route } from './route.ts'
import { bodyOf, invalid, isObject, parseObject } from './signed-request.ts'

/** Pusher's limit. */
const MAX_EVENTS = 10

/** `POST /apps/{id}/batch_events`: up to 10 events, published all or none. */
export const publishBatch: Route = {
  method: 'POST',
  path: '/batch_events',
  bodyLimit: ({ maxPublishBodyBytes }) => maxPublishBodyBytes,
  publishes: true,
  async answer(services, request) {
    const { batch } = parseObject(bodyOf(request))
    if (!Array.isArray(batch) || batch.length === 0 || batch.length > MAX_EVENTS || !batch.every(isObject)) {
      throw invalid(`batch must be a list of 1 to ${MAX_EVENTS} events.`)
    }
    const events = batch.map((body) => readBatchEvent(services, body))
    const described = await Promise.all(
      events.flatMap(({ channels, info }) => channels.map((channel) => describeOne(services, channel, info))),
    )
    await services.broker.publishAll(events.map(publicationOf))
    return events.some(({ info }) => info.size > 0) ? { batch: described } : {}
  },
}
