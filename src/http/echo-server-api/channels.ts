import type { FastifyRequest } from 'fastify'
import { kindOf, parseChannel } from '../../channels/channel.ts'
import { GatewayError } from '../../errors.ts'
import type { Services } from '../services.ts'

/** What laravel-echo-server tells of channels. [src/api/http-api.ts] */

type Count = { subscription_count: number; occupied: boolean }

/** `GET /apps/{id}/channels` */
export async function listChannels({ occupancy }: Services, request: FastifyRequest): Promise<object> {
  const { filter_by_prefix: prefix } = request.query as { filter_by_prefix?: unknown }
  const occupied = await occupancy.channels(typeof prefix === 'string' ? prefix : '')
  const counts = [...occupied].map(([name, count]): [string, Count] => [name, countOf(count)])
  return { channels: Object.fromEntries(counts) }
}

/** `GET /apps/{id}/channels/{channel}` */
export async function describeChannel(services: Services, request: FastifyRequest): Promise<object> {
  const name = nameOf(request)
  const isKnown = !('invalid' in parseChannel(name, services.rules))
  const [count, members] = await Promise.all([
    isKnown ? services.occupancy.count(name) : 0,
    isKnown && kindOf(name) === 'presence' ? services.presence.members(name) : [],
  ])
  return { ...countOf(count), ...(kindOf(name) === 'presence' ? { user_count: members.length } : {}) }
}

/** `GET /apps/{id}/channels/{channel}/users` */
export async function listUsers(services: Services, request: FastifyRequest): Promise<object> {
  const name = nameOf(request)
  if (kindOf(name) !== 'presence')
    throw new GatewayError('invalid_parameter', { message: 'User list is only possible for Presence Channels' })
  const members = 'invalid' in parseChannel(name, services.rules) ? [] : await services.presence.members(name)
  return { users: members.map(({ id, json }) => ({ id, user_info: (JSON.parse(json) as { info: unknown }).info })) }
}

function countOf(subscriptions: number): Count {
  return { subscription_count: subscriptions, occupied: subscriptions > 0 }
}

function nameOf({ params }: FastifyRequest): string {
  return (params as { channel: string }).channel
}
