import type { Services } from '../services.ts'
import { type Event, publicationOf, readEvent } from './event.ts'
import { type Description, describeOne } from './info.ts'
import type { Route } from './route.ts'
import { bodyOf, parseObject } from './signed-request.ts'

/** `POST /apps/{id}/events`: one event on up to 100 channels. */
export const publishEvent: Route = {
  method: 'POST',
  path: '/events',
  bodyLimit: ({ maxPublishBodyBytes }) => maxPublishBodyBytes,
  publishes: true,
  async answer(services, request) {
    const event = readEvent(services, parseObject(bodyOf(request)))
    // Before it is published: what cannot be answered may be sent again without being heard twice.
    const channels = await describeAll(services, event)
    await services.broker.publishAll([publicationOf(event)])
    return event.info.size === 0 ? {} : { channels }
  },
}

async function describeAll(services: Services, { channels, info }: Event): Promise<Record<string, Description>> {
  if (info.size === 0) return {}
  const described = channels.map(async (channel) => [channel.name, await describeOne(services, channel, info)] as const)
  return Object.fromEntries(await Promise.all(described))
}
