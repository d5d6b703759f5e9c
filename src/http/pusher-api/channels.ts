import type { FastifyRequest } from 'fastify'
import { isCacheChannel } from '../../cache/last-events.ts'
import { parseBroadcast } from '../../channels/broadcast.ts'
import { type Channel, kindOf, parseChannel } from '../../channels/channel.ts'
import { GatewayError } from '../../errors.ts'
import type { Services } from '../services.ts'
import { type Attribute, type Description, describeOne, readInfo } from './info.ts'
import type { Route } from './route.ts'
import { parametersOf } from './signed-request.ts'

/** Channels that are asked about at the same time. */
const AT_ONCE = 100

/** `GET /apps/{id}/channels`: the channels somebody listens to. */
export const listChannels: Route = {
  method: 'GET',
  path: '/channels',
  async answer(services, request) {
    const parameters = parametersOf(request)
    const prefix = parameters.get('filter_by_prefix') ?? ''
    const info = readInfo(parameters.get('info'), ['user_count', 'subscription_count'])
    if (info.has('user_count') && kindOf(prefix) !== 'presence') throw notAvailable(ONLY_PRESENCE_LIST)
    const occupied = await services.occupancy.channels(prefix)
    return { channels: Object.fromEntries(await describeAll(services, occupied, info)) }
  },
}

/** `GET /apps/{id}/channels/{channel}`. */
export const describeChannel: Route = {
  method: 'GET',
  path: '/channels/:channel',
  async answer(services, request) {
    const channel = channelOf(services, request)
    const info = readInfo(parametersOf(request).get('info'), ['user_count', 'subscription_count', 'cache'])
    if (info.has('user_count') && channel.kind !== 'presence') throw notAvailable(ONLY_PRESENCE)
    if (info.has('cache') && !isCacheChannel(channel.name)) throw notAvailable(ONLY_CACHE)
    const [sockets, described, cache] = await Promise.all([
      services.occupancy.count(channel.name),
      describeOne(services, channel, info),
      info.has('cache') ? lastEvent(services, channel) : undefined,
    ])
    return { occupied: sockets > 0, ...described, ...(cache === undefined ? {} : { cache }) }
  },
}

/** `GET /apps/{id}/channels/{channel}/users`: who is on a presence channel. */
export const listUsers: Route = {
  method: 'GET',
  path: '/channels/:channel/users',
  async answer(services, request) {
    const channel = channelOf(services, request)
    if (channel.kind !== 'presence') throw notAvailable(ONLY_PRESENCE_USERS)
    const members = await services.presence.members(channel.name)
    return { users: members.map(({ id }) => ({ id })) }
  },
}

async function describeAll(
  services: Services,
  occupied: ReadonlyMap<string, number>,
  info: ReadonlySet<Attribute>,
): Promise<[string, Description][]> {
  const known = [...occupied].map(([name, sockets]): [string, Description] => [
    name,
    info.has('subscription_count') ? { subscription_count: sockets } : {},
  ])
  if (!info.has('user_count')) return known
  const described: [string, Description][] = []
  for (let first = 0; first < known.length; first += AT_ONCE) {
    const some = known.slice(first, first + AT_ONCE)
    const members = await Promise.all(some.map(([name]) => services.presence.members(name)))
    described.push(
      ...some.map(([name, rest], at): [string, Description] => [
        name,
        { user_count: members[at]?.length ?? 0, ...rest },
      ]),
    )
  }
  return described
}

// Its data is JSON as a text, as it was published.
async function lastEvent({ lastEvents }: Services, { name }: Channel): Promise<{ data: string; ttl: number } | null> {
  const found = await lastEvents.read(name)
  const broadcast = found === null ? null : parseBroadcast(found.payload)
  return found === null || broadcast === null ? null : { data: broadcast.dataJson, ttl: found.ttlS }
}

function channelOf({ rules }: Services, { params }: FastifyRequest): Channel {
  const channel = parseChannel((params as { channel: string }).channel, rules)
  if ('invalid' in channel) throw new GatewayError('invalid_channel', { message: channel.invalid })
  return channel
}

function notAvailable(message: string): GatewayError {
  return new GatewayError('invalid_parameter', { message })
}

const ONLY_PRESENCE = 'Only presence channels have a user_count.'
const ONLY_PRESENCE_LIST =
  'Only presence channels have a user_count: ask with a filter_by_prefix that begins with presence-.'
const ONLY_PRESENCE_USERS = 'Only presence channels have users.'
const ONLY_CACHE =
  'Only cache channels have a cache: names that begin with cache-, private-cache-, presence-cache- or private-encrypted-cache-.'
