import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Config, type ConfigInput, loadConfig } from '../../src/config/config.ts'
import { folderWith } from '../support/folder.ts'

/** Written by laravel-echo-server 1.6.3 itself: `init` with every default, and with every question answered otherwise. */
const DEFAULTS = readFileSync(join(import.meta.dirname, 'laravel-echo-server/defaults.json'), 'utf8')
const ALL_ANSWERS = readFileSync(join(import.meta.dirname, 'laravel-echo-server/all-answers.json'), 'utf8')

const NAME = 'laravel-echo-server.json'

type Given = { argv?: string[]; env?: Record<string, string>; files?: Record<string, string>; find?: boolean }

function result(content: unknown, { argv = [], env = {}, files = {}, find = false }: Given = {}) {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  const cwd = folderWith({ [NAME]: text, ...files })
  const input: ConfigInput = find
    ? { argv, env, cwd, fallbackFile: NAME }
    : { argv: ['--config', NAME, ...argv], env, cwd }
  return loadConfig(input)
}

function load(content: unknown, given: Given = {}): Config {
  const loaded = result(content, given)
  if ('faults' in loaded) throw new Error(loaded.faults.join('\n'))
  return loaded.config
}

function faultsOf(content: unknown, given: Given = {}): readonly string[] {
  const loaded = result(content, given)
  return 'faults' in loaded ? loaded.faults : []
}

const notesOf = (content: unknown, given: Given = {}) => load(content, given).notes.join('\n')

/** How one variable stands for another. */
const variable = (name: string) => `\${${name}}`
/** A whole file in which this much is different. */
const changed = (change: object) => ({ ...JSON.parse(DEFAULTS), ...change })
const withRedis = (redis: unknown) => changed({ databaseConfig: { redis } })

describe('a file that laravel-echo-server has written', () => {
  it('starts the gateway as it is', () => {
    expect(load(DEFAULTS)).toMatchObject({
      broker: 'redis',
      redis: 'redis://127.0.0.1:6379',
      redisPrefix: '',
      redisPassword: null,
      host: '127.0.0.1',
      port: 6001,
      authUrl: 'http://localhost/broadcasting/auth',
      allowOrigins: ['http://localhost'],
      logLevel: 'info',
      echoServerClients: [],
      tryPage: false,
      appId: null,
    })
  })

  it('says only what is worth saying of its defaults', () => {
    const { notes } = load(DEFAULTS)
    expect(notes).toHaveLength(4)
    expect(notes[0]).toMatch(/laravel-echo-server\.json is a configuration of laravel-echo-server.*no socket\.io/)
    expect(notes.join('\n')).toMatch(/listens on 127\.0\.0\.1.*--host 0\.0\.0\.0/)
    expect(notes.join('\n')).toMatch(/every origin.*--allow-origin/)
    expect(notes.join('\n')).toMatch(/verifies Laravel's TLS certificate, takes an empty 200/)
  })

  it('is read with every question answered', () => {
    const config = load(ALL_ANSWERS)
    expect(config).toMatchObject({
      port: 7001,
      logLevel: 'debug',
      laravelUrl: 'https://app.example.com',
      allowOrigins: ['https://app.example.com'],
      echoServerClients: [{ appId: 'c2b546dd6f724aa3', key: '799dbc41a43d0296ed261911f3627669', mayPublish: true }],
    })
    const notes = config.notes.join('\n')
    expect(notes).toMatch(/`protocol`.*`sslCertPath`.*`sslKeyPath`.*plain HTTP.*nginx/)
    expect(notes).toMatch(/`database` in .* means nothing here/)
    expect(notes).toMatch(/`clients` may use \/apps without a signature.*--app-id/)
    expect(notes).toMatch(/allowMethods.*means nothing here/)
  })

  it('tells for each value where it stands', () => {
    const { sources } = load(ALL_ANSWERS, { env: { LARAVEL_ECHO_SERVER_PORT: '7002' } })
    expect(sources.laravelUrl).toEqual({ layer: 'file', label: `\`authHost\` in ${NAME}` })
    expect(sources.allowOrigins).toEqual({ layer: 'file', label: `\`apiOriginAllow.allowOrigin\` in ${NAME}` })
    expect(sources.port).toEqual({ layer: 'file', label: '`LARAVEL_ECHO_SERVER_PORT`' })
    expect(sources.redis.label).toBe(`default of \`databaseConfig.redis\` in ${NAME}`)
  })
})

describe('where it listens', () => {
  it.each<[unknown, number]>([
    ['6002', 6002],
    [6003, 6003],
    ['http://localhost:6004/', 6004],
  ])('is the port %j', (port, expected) => {
    expect(load(changed({ port })).port).toBe(expected)
  })

  it('is the host that is given, without a word', () => {
    expect(load(changed({ host: '0.0.0.0' })).host).toBe('0.0.0.0')
    expect(notesOf(changed({ host: '0.0.0.0' }))).not.toContain('listens on all addresses')
    expect(notesOf(DEFAULTS, { argv: ['--host', '127.0.0.1'] })).not.toContain('listens on all addresses')
  })

  it('is what flags and variables say, if they do', () => {
    expect(load(DEFAULTS, { argv: ['--port', '1'] }).port).toBe(1)
    expect(load(DEFAULTS, { env: { PORT: '2', LARAVEL_ECHO_SERVER_PORT: '3' } }).port).toBe(2)
    expect(load(DEFAULTS, { argv: ['--socket', 'x.sock'] }).socket).toBe('x.sock')
  })
})

describe('apiOriginAllow', () => {
  const origins = (apiOriginAllow: object, authHost: unknown = 'https://app.example/path') =>
    load(changed({ authHost, apiOriginAllow })).allowOrigins

  it('names an origin beside that of Laravel', () => {
    const allowOrigin = 'https://admin.example:443'
    expect(origins({ allowCors: true, allowOrigin })).toEqual(['https://admin.example', 'https://app.example'])
    expect(origins({ allowCors: true, allowOrigin: 'https://app.example' })).toEqual(['https://app.example'])
    expect(origins({ allowCors: true, allowOrigin }, null)).toEqual(['https://admin.example', 'http://localhost'])
  })

  it.each([
    { allowCors: false, allowOrigin: 'https://admin.example' },
    { allowCors: true, allowOrigin: '*' },
    { allowCors: true, allowOrigin: '' },
  ])('leaves it at that of Laravel: %j', (apiOriginAllow) => {
    expect(origins(apiOriginAllow)).toEqual(['https://app.example'])
  })
})

describe('authHost', () => {
  it.each<[unknown, string]>([
    ['https://app.example.com', 'https://app.example.com'],
    [['https://one.example', 'https://two.example'], 'https://one.example'],
    [['.example.com', 'https://two.example'], 'https://two.example'],
    [undefined, 'http://localhost'],
    [null, 'http://localhost'],
    ['', 'http://localhost'],
  ])('%j asks %s', (authHost, url) => {
    expect(load(changed({ authHost })).laravelUrl).toBe(url)
  })

  it('names those of a list that are not asked, and why', () => {
    const notes = notesOf(changed({ authHost: ['.example.com', 'https://two.example'] }))
    expect(notes).toMatch(/asked at https:\/\/two\.example.*Not used: \.example\.com.*Referer chooses nothing/)
  })

  it('counts before APP_URL, which is where pages are, and below LARAVEL_URL', () => {
    const env = { APP_URL: 'https://shop.example' }
    const config = load(changed({ authHost: 'http://nginx' }), { env })
    expect(config).toMatchObject({ laravelUrl: 'http://nginx', allowOrigins: ['https://shop.example', 'http://nginx'] })
    expect(load(changed({ authHost: undefined }), { env }).laravelUrl).toBe('https://shop.example')
    expect(load(DEFAULTS, { env: { ...env, LARAVEL_URL: 'http://own' } }).laravelUrl).toBe('http://own')
  })

  it('must be an address', () => {
    expect(faultsOf(changed({ authHost: 'app.example.com' }))).toEqual([
      `\`authHost\` in ${NAME} must be a URL that begins with http:// or https://, got \`app.example.com\`.`,
    ])
  })

  it('stands below the address in Laravel when the file says none', () => {
    const files = {
      'app/.env': 'APP_URL=https://shop.example\nBROADCAST_CONNECTION=redis\nREDIS_HOST=redis\nREDIS_PREFIX=shop_',
    }
    const config = load(changed({ authHost: undefined }), { argv: ['--laravel', 'app'], files })
    expect(config).toMatchObject({
      laravelUrl: 'https://shop.example',
      redis: 'redis://redis:6379/0',
      redisPrefix: 'shop_',
    })
    expect(load(DEFAULTS, { argv: ['--laravel', 'app'], files }).laravelUrl).toBe('http://localhost')
  })
})

describe('databaseConfig.redis', () => {
  it.each<[unknown, object]>([
    [{}, { redis: 'redis://127.0.0.1:6379' }],
    [undefined, { redis: 'redis://127.0.0.1:6379' }],
    [{ host: 'redis' }, { redis: 'redis://redis:6379' }],
    [{ port: '6380' }, { redis: 'redis://127.0.0.1:6380' }],
    [{ host: '::1', port: 6380, db: 2 }, { redis: 'redis://[::1]:6380/2' }],
    [{ host: 'r', tls: {} }, { redis: 'rediss://r:6379' }],
    [{ host: 'r', tls: false }, { redis: 'redis://r:6379' }],
    [{ path: '/run/my redis.sock' }, { redis: 'unix:///run/my%20redis.sock' }],
    [
      { host: 'r', password: 'p@:/#', username: 'u' },
      { redis: 'redis://r:6379', redisPassword: 'p@:/#', redisUsername: 'u' },
    ],
    [{ host: 'r', password: null }, { redisPassword: null }],
    [{ keyPrefix: 'laravel_database_' }, { redis: 'redis://127.0.0.1:6379', redisPrefix: 'laravel_database_' }],
    ['redis://r:1/2', { redis: 'redis://r:1/2' }],
    ['r:1', { redis: 'redis://r:1' }],
    ['/run/redis.sock', { redis: 'unix:///run/redis.sock' }],
    [6380, { redis: 'redis://127.0.0.1:6380' }],
    [
      {
        sentinels: [{ host: 's-0', port: 26379 }, { host: 's-1' }],
        name: 'main',
        sentinelPassword: 'sp',
        password: 'p',
      },
      {
        redis: null,
        redisSentinels: ['s-0:26379', 's-1:26379'],
        redisSentinelName: 'main',
        redisSentinelPassword: 'sp',
        redisPassword: 'p',
        redisTls: false,
      },
    ],
    [
      { sentinels: [{ host: 's-0' }], tls: {} },
      { redisTls: true, redisSentinelName: 'mymaster' },
    ],
    [{ cluster: [{ host: 'c-0', port: 7000 }, 'c-1:7001'] }, { redis: null, redisCluster: ['c-0:7000', 'c-1:7001'] }],
  ])('%j', (redis, expected) => {
    expect(load(withRedis(redis))).toMatchObject({ broker: 'redis', ...expected })
  })

  it('leaves to the flags where Redis is, and keeps its password from another server', () => {
    const named = withRedis({ sentinels: [{ host: 's-0' }], name: 'main', password: 'secret', keyPrefix: 'app_' })
    const config = load(named, { argv: ['--redis', 'redis://elsewhere'] })
    expect(config).toMatchObject({
      redis: 'redis://elsewhere',
      redisPassword: null,
      redisSentinels: [],
      redisPrefix: 'app_',
    })
    expect(config.notes.join('\n')).toMatch(/Redis and its password .* not used/)
    expect(load(named, { env: { REDIS_URL: 'redis://r' } }).redisPassword).toBeNull()
  })

  it('names what is not read of it, without its values', () => {
    const notes = notesOf(
      withRedis({ host: 'r', password: 'hidden', retries: 3, tls: { rejectUnauthorized: false, ca: 'PEM' } }),
    )
    expect(notes).toContain('Not read: `retries` of `databaseConfig.redis`')
    expect(notes).toMatch(/`databaseConfig\.redis\.tls`.*certificate is verified.*--redis-tls-ca/)
    expect(notes).not.toContain('hidden')
  })
})

describe('subscribers', () => {
  it('without redis use no Redis', () => {
    const config = load(changed({ subscribers: { http: true, redis: false } }))
    expect(config).toMatchObject({ broker: 'memory', redis: null })
    expect(config.notes.join('\n')).toMatch(/`subscribers\.redis` .* is off, so Redis is not used/)
  })

  it.each([[{ redis: true }], [{ redis: true, http: false }]])(
    'without http let clients look only: %j',
    (subscribers) => {
      const clients = [{ appId: 'a', key: 'k' }]
      const config = load(changed({ subscribers, clients }))
      expect(config.echoServerClients).toEqual([{ appId: 'a', key: 'k', mayPublish: false }])
      expect(config.notes.join('\n')).toMatch(/`subscribers\.http` .* may look, and not publish/)
    },
  )

  it.each([[undefined], [null], [{ redis: true, http: true }]])('are both on when they are %j', (subscribers) => {
    const config = load(changed({ subscribers, clients: [{ appId: 'a', key: 'k' }] }))
    expect(config).toMatchObject({ broker: 'redis', echoServerClients: [{ mayPublish: true }] })
  })
})

describe('clients', () => {
  it('are those that laravel-echo-server let in, and the first of an id', () => {
    const clients = [
      { appId: 'a', key: 'k1' },
      { appId: 'a', key: 'k2' },
      { appId: 7, key: 'k' },
      { appId: 'b', key: '' },
      { appId: 'c' },
      null,
      'd',
    ]
    const config = load(changed({ clients }))
    expect(config.echoServerClients).toEqual([{ appId: 'a', key: 'k1', mayPublish: true }])
    expect(config.notes.join('\n')).toContain('Not every entry of `clients`')
  })

  const OWN = { PUSHER_APP_ID: 'app', PUSHER_APP_KEY: 'public', PUSHER_APP_SECRET: 'secret' }

  it.each<[string, string]>([
    ['the app key', 'public'],
    ['a further app key', 'older'],
  ])('stop the start with %s, which every page knows', (_, key) => {
    const faults = faultsOf(changed({ clients: [{ appId: 'other', key }] }), {
      env: { ...OWN, MORE_APP_KEYS: 'older:its-secret' },
    })
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/client other in `clients` has an app key.*Take the client out/)
    expect(faults[0]).not.toContain('secret:')
  })

  it('stop it as well with the key of the application in --laravel', () => {
    const env = 'BROADCAST_CONNECTION=pusher\nPUSHER_APP_ID=app\nPUSHER_APP_KEY=public\nPUSHER_APP_SECRET=s'
    const given = { argv: ['--laravel', 'app'], files: { 'app/.env': env } }
    expect(faultsOf(changed({ clients: [{ appId: 'app', key: 'public' }] }), given)).toHaveLength(1)
  })

  it('stop it also when other credentials have taken the place of those that pages know', () => {
    const env = 'BROADCAST_CONNECTION=pusher\nPUSHER_APP_ID=app\nPUSHER_APP_KEY=public\nPUSHER_APP_SECRET=s'
    const argv = ['--laravel', 'app', '--app-id', 'a', '--app-key', 'new', '--app-secret', 'c']
    const client = changed({ clients: [{ appId: 'other', key: 'public' }] })
    expect(faultsOf(client, { argv, files: { 'app/.env': env } })).toHaveLength(1)
    expect(faultsOf(client, { argv: argv.slice(2), env: { REVERB_APP_KEY: 'public' } })).toHaveLength(1)
  })

  it('are worth nothing with the id of the application, which is said', () => {
    const notes = notesOf(changed({ clients: [{ appId: 'app', key: 'k' }] }), { env: OWN })
    expect(notes).toMatch(/client app in `clients` has the id of the application.*its own key is not used/)
  })
})

describe('what means nothing here', () => {
  it.each<[string, object, RegExp]>([
    ['socketio', { socketio: { path: '/x' } }, /`socketio` in .* means nothing here/],
    ['headers', { headers: { 'X-A': 'b' } }, /`headers` in .*add_header/],
    ['database', { database: 'sqlite' }, /`database` in .* presence is kept in Redis/],
    ['publishPresence', { databaseConfig: { redis: {}, publishPresence: true } }, /publishPresence.*--webhook-urls/],
    [
      'certificates',
      { sslCertPath: '/a', sslPassphrase: 'hidden' },
      /`sslCertPath` in [^,]*, `sslPassphrase` in .* nginx/,
    ],
    ['a key nobody knows', { authHots: 'x' }, /Not read: `authHots` in/],
  ])('is named with what to use instead: %s', (_, change, note) => {
    expect(notesOf(changed(change))).toMatch(note)
    expect(notesOf(changed(change))).not.toContain('hidden')
  })

  it('is silent about what has its usual value', () => {
    expect(notesOf(DEFAULTS)).not.toMatch(/secureOptions|socketio|sqlite|publishPresence|sslCertPath|allowMethods/)
  })
})

describe('its variables', () => {
  it('win over the file and lose against our own', () => {
    const env = {
      LARAVEL_ECHO_SERVER_AUTH_HOST: 'https://env.example',
      LARAVEL_ECHO_SERVER_DEBUG: 'true',
      LARAVEL_ECHO_SERVER_HOST: '0.0.0.0',
      LARAVEL_ECHO_SERVER_REDIS_HOST: 'redis',
      LARAVEL_ECHO_SERVER_REDIS_PORT: '6380',
      LARAVEL_ECHO_SERVER_REDIS_PASSWORD: 'p',
      LARAVEL_ECHO_SERVER_PROTO: 'https',
      LARAVEL_ECHO_SERVER_SSL_PASS: 'hidden',
    }
    const config = load(DEFAULTS, { env })
    expect(config).toMatchObject({
      laravelUrl: 'https://env.example',
      logLevel: 'debug',
      host: '0.0.0.0',
      redis: 'redis://redis:6380',
      redisPassword: 'p',
    })
    expect(config.notes.join('\n')).toMatch(/`LARAVEL_ECHO_SERVER_PROTO`, `LARAVEL_ECHO_SERVER_SSL_PASS`: .*nginx/)
    expect(config.notes.join('\n')).not.toContain('hidden')
    expect(load(DEFAULTS, { env: { ...env, LARAVEL_URL: 'https://own.example' } }).laravelUrl).toBe(
      'https://own.example',
    )
  })

  it('stand for other variables, once', () => {
    const env = {
      LARAVEL_ECHO_SERVER_REDIS_HOST: variable('REDIS_HOST'),
      REDIS_HOST: variable('NOT_AGAIN'),
      LARAVEL_ECHO_SERVER_PORT: variable('NOTHING'),
    }
    expect(load(DEFAULTS, { env }).redis).toBe(`redis://${variable('NOT_AGAIN')}:6379`)
    expect(load(DEFAULTS, { env: { ...env, REDIS_HOST: 'r' } })).toMatchObject({ redis: 'redis://r:6379', port: 6001 })
  })

  it('are read from the .env of the folder as well, below the environment', () => {
    const files = {
      '.env': `REDIS_HOST=from-env\nLARAVEL_ECHO_SERVER_REDIS_HOST=${variable('REDIS_HOST')}\nLARAVEL_ECHO_SERVER_PORT=6005\n`,
    }
    const config = load(DEFAULTS, { files, env: { LARAVEL_ECHO_SERVER_PORT: '6006' } })
    expect(config).toMatchObject({ redis: 'redis://from-env:6379', port: 6006 })
  })

  it('do nothing without the file, which is said', () => {
    const { config } = loadConfig({ argv: [], env: { LARAVEL_ECHO_SERVER_PORT: '1' }, cwd: '.' }) as { config: Config }
    expect(config.port).toBe(6001)
    expect(config.notes.join('\n')).toContain('Not read: LARAVEL_ECHO_SERVER_PORT')
  })
})

describe('a file of two minds', () => {
  it('is refused, with the keys of both', () => {
    expect(faultsOf(changed({ redisPrefix: 'x', appId: 'y' }))[0]).toMatch(
      /laravel-echo-server\.json mixes keys of laravel-echo-server \(`authHost`, .*\) with this gateway's \(`redisPrefix`, `appId`\)/,
    )
  })

  it('is ours when it has only keys that both have', () => {
    const config = load({ host: '0.0.0.0', port: 1 })
    expect(config).toMatchObject({ host: '0.0.0.0', port: 1, broker: 'memory', laravelUrl: 'http://localhost:8000' })
  })
})

describe('a file that lies in the folder', () => {
  it('is read by start when nothing says where Redis is, and that is said', () => {
    const config = load(changed({ port: 6009 }), { find: true })
    expect(config.port).toBe(6009)
    expect(config.sources.config.layer).toBe('flag')
    expect(config.notes[0]).toMatch(/laravel-echo-server\.json of this folder is read/)
    expect(load(changed({ port: 6009 }), { find: true, argv: ['--port', '1'] }).port).toBe(1)
  })

  it.each<[string, Given]>([
    ['--redis', { argv: ['--redis', 'redis://r'] }],
    ['REDIS_URL', { env: { REDIS_URL: 'redis://r' } }],
    ['--config', { argv: ['--config', 'own.json'], files: { 'own.json': '{}' } }],
    ['--laravel', { argv: ['--laravel', 'app'], files: { 'app/.env': '' } }],
  ])('is left alone with %s', (_, given) => {
    expect(load(changed({ port: 6009 }), { ...given, find: true }).port).toBe(6001)
  })
})
