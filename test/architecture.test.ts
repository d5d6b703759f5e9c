import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = join(import.meta.dirname, '..')

type Import = { readonly file: string; readonly target: string }

const IMPORT = /^(?:import|export)\b[^'";]*?\bfrom '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm

/** Every import of every source file; paths seen from that folder, packages by their name. */
function importsOf(folder: string): Import[] {
  return readdirSync(join(ROOT, folder), { encoding: 'utf8', recursive: true })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      [...readFileSync(join(ROOT, folder, file), 'utf8').matchAll(IMPORT)].map((match) => {
        const name = match[1] ?? match[2] ?? match[3] ?? ''
        return { file, target: name.startsWith('.') ? join(dirname(file), name) : name }
      }),
    )
}

const imports = importsOf('src')

const isPackage = (target: string) => !target.endsWith('.ts')
const isIn = (path: string, place: string) => (place.endsWith('/') ? path.startsWith(place) : path === place)
const broken = (found: readonly Import[], rule: string) =>
  found.map(({ file, target }) => `${file} imports ${target}: ${rule}`)

/** Who may import what of src/. A place ends in a slash when a whole room is meant. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  'protocol.ts': [],
  'errors.ts': [],
  'channels/': ['channels/'],
  'sse/': ['sse/'],
  'history/': ['history/', 'channels/', 'sse/', 'protocol.ts'],
  'hub/': ['hub/', 'history/', 'channels/', 'sse/', 'auth/authorizer.ts', 'errors.ts', 'protocol.ts'],
  'broker/broker.ts': ['history/position.ts', 'channels/', 'errors.ts'],
  'broker/clock.ts': ['history/position.ts', 'broker/broker.ts'],
  'broker/': ['broker/', 'history/position.ts', 'channels/', 'errors.ts', 'config/config.ts'],
  'relay/own-traffic.ts': [
    'auth/grants.ts',
    'auth/revocation.ts',
    'channels/',
    'history/position.ts',
    'hub/',
    'occupancy/occupancy.ts',
    'presence/presence.ts',
    'presence/store.ts',
  ],
  'relay/': ['relay/', 'broker/broker.ts', 'cache/last-events.ts', 'channels/', 'history/', 'hub/'],
  'presence/member.ts': ['auth/authorizer.ts', 'channels/', 'errors.ts'],
  'presence/store.ts': ['presence/member.ts', 'auth/authorizer.ts', 'channels/', 'errors.ts'],
  'presence/': [
    'presence/',
    'broker/hash-tag.ts',
    'broker/redis-connection.ts',
    'broker/redis-errors.ts',
    'broker/redis-lua.ts',
    'auth/authorizer.ts',
    'channels/',
    'errors.ts',
  ],
  'auth/authorizer.ts': ['channels/', 'errors.ts'],
  'auth/redis-scripts.ts': ['broker/redis-connection.ts', 'broker/redis-lua.ts'],
  'auth/redis-grants.ts': ['auth/', 'broker/redis-connection.ts', 'presence/member.ts', 'presence/redis-lease.ts'],
  'auth/': ['auth/', 'channels/', 'errors.ts'],
  'cli/': [
    'cli/',
    'auth/laravel-address.ts',
    'auth/probe.ts',
    'auth/revocation.ts',
    'broker/',
    'channels/',
    'http/pusher-api/signature.ts',
    'gateway.ts',
    'config/',
    'errors.ts',
    'protocol.ts',
  ],
  'config/': ['config/', 'auth/', 'webhooks/event.ts', 'errors.ts'],
  'webhooks/': ['webhooks/', 'errors.ts'],
  'occupancy/': [
    'occupancy/',
    'broker/redis-connection.ts',
    'broker/redis-lua.ts',
    'presence/redis-lease.ts',
    'channels/',
    'errors.ts',
  ],
  'cache/': [
    'cache/',
    'broker/hash-tag.ts',
    'broker/redis-connection.ts',
    'presence/redis-lease.ts',
    'history/position.ts',
    'channels/',
  ],
  'main.ts': ['cli/', 'config/', 'errors.ts'],
}

/** Packages that belong to one place. */
const MAY_USE: Record<string, readonly RegExp[]> = {
  ioredis: [/^(broker|presence)\/redis[^/]*\.ts$/, /^auth\/redis-grants\.ts$/, /^cli\/publish-redis\.ts$/],
  undici: [/^auth\/laravel\.ts$/, /^webhooks\/sender\.ts$/],
  fastify: [/^http\//, /^gateway\.ts$/],
  '@fastify/cors': [/^http\/app\.ts$/],
  'prom-client': [/^metrics\.ts$/],
  dotenv: [/^config\/laravel-env\.ts$/],
  'close-with-grace': [/^cli\/process\.ts$/],
}

describe('who may import whom', () => {
  it('is read from the sources', () => {
    expect(imports.length).toBeGreaterThan(150)
    expect(imports).toContainEqual({ file: 'hub/hub.ts', target: 'hub/feed.ts' })
    expect(imports).toContainEqual({ file: 'auth/laravel.ts', target: 'undici' })
  })

  // The most exact place a file is in decides.
  const placeOf = (file: string) =>
    Object.keys(MAY_IMPORT)
      .filter((place) => isIn(file, place))
      .sort((one, other) => other.length - one.length)[0]

  it.each(Object.entries(MAY_IMPORT))('%s imports only what it may', (place, allowed) => {
    const own = imports.filter(({ file, target }) => placeOf(file) === place && !isPackage(target))
    const wrong = own.filter(({ target }) => !allowed.some((one) => isIn(target, one)))
    expect(broken(wrong, `${place} may import only ${allowed.join(', ') || 'nothing'}`)).toEqual([])
  })

  it.each(Object.entries(MAY_USE))('%s is used only where it belongs', (name, places) => {
    const users = imports.filter(({ target }) => target === name || target.startsWith(`${name}/`))
    expect(users.length).toBeGreaterThan(0)
    const wrong = users.filter(({ file }) => !places.some((place) => place.test(file)))
    expect(broken(wrong, `only ${places.join(', ')} may`)).toEqual([])
  })

  it('uses no package that is not named here, but the logger’s type', () => {
    const known = new Set([...Object.keys(MAY_USE), 'pino'])
    const unknown = imports.filter(
      ({ target }) => isPackage(target) && !target.startsWith('node:') && !known.has(target),
    )
    expect(broken(unknown, 'say in this test which place it belongs to')).toEqual([])
  })

  it('leaves the pure rooms without packages and without input and output', () => {
    const pure = [
      'channels/',
      'history/',
      'hub/',
      'protocol.ts',
      'errors.ts',
      'sse/frame.ts',
      'sse/outlet.ts',
      'sse/poll-response.ts',
    ]
    const used = imports.filter(({ file, target }) => isPackage(target) && pure.some((place) => isIn(file, place)))
    const wrong = used.filter(({ target }) => target !== 'node:buffer')
    expect(broken(wrong, 'this place computes and does nothing else')).toEqual([])
  })

  it('has no room name a broker or an authorizer that is real', () => {
    const real = /^((broker|presence|occupancy|cache)\/(memory|redis[^/]*)|auth\/(laravel[^/]*|redis-grants))\.ts$/
    const rooms = /^(channels|sse|history|hub|relay|http)\//
    const users = imports.filter(({ file, target }) => rooms.test(file) && real.test(target))
    expect(broken(users, 'it should know the interface only')).toEqual([])
  })
})

/** The browser client: from the wire up to the faces, never down. Seen from client/src/. */
const CLIENT_MAY_IMPORT: Record<string, readonly string[]> = {
  'transports/': ['transports/'],
  'core/': ['core/', 'transports/'],
  'pusher/': ['pusher/', 'core/', 'transports/transport.ts'],
  'echo/': ['echo/', 'pusher/', 'core/', 'transports/transport.ts'],
}

describe('who may import whom in the browser client', () => {
  const clientImports = importsOf('client/src')
  const protocol = '../../src/protocol.ts'

  it('takes the words of the wire from the server, and nothing else', () => {
    const outside = clientImports.filter(({ target }) => target.startsWith('..'))
    expect(outside).toContainEqual({ file: 'core/link.ts', target: protocol })
    const wrong = outside.filter(({ target }) => target !== protocol)
    expect(broken(wrong, 'of what is outside client/ only src/protocol.ts')).toEqual([])
  })

  it('needs no package, but the framework in the entry that is made for it', () => {
    const used = clientImports.filter(({ target }) => isPackage(target))
    const wrong = used.filter(({ file, target }) => file !== `${target}.ts`)
    expect(broken(wrong, 'the bundle has no dependency')).toEqual([])
  })

  it.each(Object.entries(CLIENT_MAY_IMPORT))('%s imports only what it may', (place, allowed) => {
    const own = clientImports.filter(({ file, target }) => isIn(file, place) && target !== protocol)
    const wrong = own.filter(({ target }) => !allowed.some((one) => isIn(target, one)))
    expect(broken(wrong, `${place} may import only ${allowed.join(', ')}`)).toEqual([])
  })
})
