/** Prints the Redis user this gateway needs, and not one right more. */

import { relayPattern } from '../broker/pattern.ts'
import { RESERVED_PREFIX } from '../channels/channel.ts'
import { loadConfig } from '../config/config.ts'
import { type Command, EXIT, tellFaults } from './command.ts'

export const acl: Command = {
  usage: '[OPTIONS]',
  summary: 'Print the minimum Redis ACL rule for this configuration.',
  groups: ['General', 'Redis'],
  async run(argv, io) {
    const result = loadConfig({ argv, env: io.env, cwd: io.cwd })
    if ('faults' in result) return tellFaults(io, result.faults)
    const { redisPrefix, redisUsername, redisCluster } = result.config
    if (/\s/.test(redisPrefix)) {
      return tellFaults(io, [
        `Redis takes no spaces in ACL rules, and the prefix "${redisPrefix}" has one; choose another REDIS_PREFIX.`,
      ])
    }
    const isCluster = redisCluster.length > 0
    io.out(`${minimumAcl({ prefix: redisPrefix, username: redisUsername ?? 'gateway', isCluster })}\n`)
    io.err(
      'Type this into redis-cli with a password of your own after the >, then ACL SAVE; in an aclfile, write "user" for ACL SETUSER.\n',
    )
    return EXIT.ok
  },
}

export type AclOptions = { readonly prefix: string; readonly username: string; readonly isCluster?: boolean }

/** One ACL SETUSER command. Its `&` pattern is the pattern of PSUBSCRIBE to the letter: Redis compares the two as texts. */
export function minimumAcl({ prefix, username, isCluster = false }: AclOptions): string {
  const channels = relayPattern(prefix)
  const keys = relayPattern(prefix + RESERVED_PREFIX)
  const commands = [...COMMANDS, ...(isCluster ? CLUSTER_COMMANDS : [])].map((command) => `+${command}`)
  return ['ACL SETUSER', username, 'reset', 'on', '>PASSWORD', `~${keys}`, `&${channels}`, ...commands].join(' ')
}

const COMMANDS = [
  // The relay, and publishing.
  'psubscribe',
  'publish',
  // The clock script and what it calls.
  'eval',
  'evalsha',
  'info',
  'time',
  'hmget',
  'hset',
  'hincrby',
  // What presence, grants and occupancy call besides, in their scripts and plainly.
  'hget',
  'hgetall',
  'hexists',
  'hlen',
  'hkeys',
  'hscan',
  'hdel',
  'pexpire',
  'zadd',
  'zscore',
  'zrangebyscore',
  'zrem',
  // The last events of cache channels.
  'pttl',
  // The secret that all gateways share.
  'get',
  'set',
  // A URL that names a database.
  'select',
]

const CLUSTER_COMMANDS = ['cluster|slots', 'cluster|keyslot', 'cluster|info', 'readonly']
