import type { Channel } from '../../channels/channel.ts'
import { GatewayError } from '../../errors.ts'
import type { Services } from '../services.ts'

/** What one may ask about a channel. */
export type Attribute = 'user_count' | 'subscription_count' | 'cache'

export type Description = { user_count?: number; subscription_count?: number }

/** The attributes in a list with commas. Throws unless they are all offered; nothing at all asks for none. */
export function readInfo(value: unknown, offered: readonly Attribute[]): ReadonlySet<Attribute> {
  if (typeof value === 'object' && value !== null) throw refusal(offered)
  const wanted = value === undefined || value === null || value === '' ? [] : String(value).split(',')
  const isOffered = (name: string): name is Attribute => (offered as readonly string[]).includes(name)
  if (!wanted.every(isOffered)) throw refusal(offered)
  return new Set(wanted)
}

/** What is wanted of a channel, as far as it has it: only presence channels have users. */
export async function describeOne(
  { occupancy, presence }: Services,
  { name, kind }: Channel,
  wanted: ReadonlySet<Attribute>,
): Promise<Description> {
  const [users, sockets] = await Promise.all([
    wanted.has('user_count') && kind === 'presence' ? presence.members(name) : null,
    wanted.has('subscription_count') ? occupancy.count(name) : null,
  ])
  return {
    ...(users === null ? {} : { user_count: users.length }),
    ...(sockets === null ? {} : { subscription_count: sockets }),
  }
}

function refusal(offered: readonly Attribute[]): GatewayError {
  return new GatewayError('invalid_parameter', { message: `info may name ${offered.join(', ')}, with commas between.` })
}
