import { describe, expect, it } from 'vitest'
import { type Config, defaultConfig, loadConfig } from '../../src/config/config.ts'
import { flagOf, type Option, variablesOf } from '../../src/config/option.ts'
import { GROUPS, OPTIONS } from '../../src/config/options.ts'
import { folderWith } from '../support/folder.ts'

type Given = { argv?: string[]; env?: Record<string, string>; cwd?: string }

function load({ argv = [], env = {}, cwd = '.' }: Given): Config {
  const result = loadConfig({ argv, env, cwd })
  if ('faults' in result) throw new Error(result.faults.join('\n'))
  return result.config
}

function faultsOf({ argv = [], env = {}, cwd = '.' }: Given): readonly string[] {
  const result = loadConfig({ argv, env, cwd })
  return 'faults' in result ? result.faults : []
}

describe('the table', () => {
  it('holds every option in exactly one group', () => {
    const names = GROUPS.flatMap(({ options }) => Object.keys(options))
    expect(names).toHaveLength(new Set(names).size)
    expect(new Set(names)).toEqual(new Set(Object.keys(OPTIONS)))
  })

  it('gives no flag and no variable to two options', () => {
    const entries = Object.entries<Option>(OPTIONS)
    const flags = entries.map(([name, option]) => flagOf(name, option))
    const variables = entries.flatMap(([name, option]) => variablesOf(name, option))
    expect(flags).toHaveLength(new Set(flags).size)
    expect(variables).toHaveLength(new Set(variables).size)
  })

  it('has defaults that its own kinds accept', () => {
    for (const [name, { kind, default: value }] of Object.entries<Option>(OPTIONS)) {
      if (value === null || (Array.isArray(value) && value.length === 0)) continue
      expect(kind.parse(String(value)), name).toEqual(value)
    }
  })

  it('has a sentence for each option', () => {
    for (const [name, { help }] of Object.entries<Option>(OPTIONS)) expect(help, name).toMatch(/^[`A-Z].*\.$/)
  })
})

describe('defaults', () => {
  it('are a memory broker on the loopback address with the try-it page and local credentials', () => {
    expect(load({})).toMatchObject({
      broker: 'memory',
      host: '127.0.0.1',
      port: 6001,
      redis: null,
      redisPrefix: '',
      tryPage: true,
      appId: 'local',
      appKey: 'local',
      appSecret: 'local',
      usesDefaultCredentials: true,
      authUrl: 'http://localhost:8000/broadcasting/auth',
      allowOrigins: ['http://localhost:8000'],
      trustProxy: ['loopback', 'unix'],
      secret: null,
      adminPort: null,
      socket: null,
    })
  })

  it('are the documented limits', () => {
    expect(load({})).toMatchObject({
      maxConnections: 10_000,
      maxConnectionsPerAddress: 1000,
      maxChannels: 100,
      maxChannelBytes: 200,
      maxUrlBytes: 8192,
      maxHeaderBytes: 16_384,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      maxBodyBytes: 65_536,
      maxPublishBodyBytes: 1_048_576,
      backlogBytes: 1_048_576,
      totalBacklogBytes: 268_435_456,
      historyBytes: 134_217_728,
      historyChannelBytes: 8_388_608,
      historyMessages: 1000,
      historyAgeS: 600,
      authConcurrency: 16,
      authPerRequest: 4,
      authTimeoutMs: 10_000,
      authTries: 3,
      authMaxBodyBytes: 65_536,
      maxDenialsPerMinute: 300,
      heartbeatMs: 15_000,
      retryMs: 3000,
      drainMs: 8000,
      markerIntervalMs: 2000,
      readyTimeoutMs: 6000,
      keyTtlS: 86_400,
    })
  })

  it.each([
    ['with Redis', ['--redis', 'redis://127.0.0.1']],
    ['on a public address', ['--host', '0.0.0.0']],
    ['on a Unix socket', ['--socket', '/run/gateway.sock']],
  ])('hold no credentials %s', (_where, argv) => {
    expect(load({ argv })).toMatchObject({ appId: null, appKey: null, appSecret: null, usesDefaultCredentials: false })
  })

  it('show the try-it page with Redis only when asked', () => {
    expect(load({ argv: ['--redis', 'redis://127.0.0.1'] }).tryPage).toBe(false)
    expect(load({ argv: ['--redis', 'redis://127.0.0.1', '--try-page'] }).tryPage).toBe(true)
    expect(load({ argv: ['--no-try-page'] }).tryPage).toBe(false)
  })

  it('follow the address of Laravel', () => {
    expect(load({ argv: ['--laravel-url', 'https://app.example.com:444/sub/'] })).toMatchObject({
      authUrl: 'https://app.example.com:444/sub/broadcasting/auth',
      allowOrigins: ['https://app.example.com:444'],
    })
    expect(load({ argv: ['--auth-endpoint', 'https://auth.example.com/x'] }).authUrl).toBe('https://auth.example.com/x')
    expect(load({ env: { APP_URL: 'https://a.test', LARAVEL_URL: 'http://php:8000' } })).toMatchObject({
      laravelUrl: 'http://php:8000',
      allowOrigins: ['https://a.test', 'http://php:8000'],
    })
  })
})

describe('sources', () => {
  const laravel = () => folderWith({ '.env': 'BROADCAST_CONNECTION=redis\nREDIS_PREFIX=laravel_\n' })
  const file = () =>
    folderWith({ 'gateway.json': '{"redisPrefix": "file_", "port": 7000, "allowOrigins": ["https://a.test"]}' })

  it('win in the order flag, environment, file, Laravel, default', () => {
    const [cwd, dir] = [file(), laravel()]
    const env = { REDIS_PREFIX: 'env_', CONFIG: 'gateway.json', LARAVEL_DIR: dir }
    const prefix = (given: Given) => load({ cwd, ...given }).redisPrefix
    expect(prefix({ env, argv: ['--redis-prefix', 'flag_'] })).toBe('flag_')
    expect(prefix({ env })).toBe('env_')
    expect(prefix({ env: { ...env, REDIS_PREFIX: '' } })).toBe('file_')
    expect(prefix({ argv: ['--laravel', dir] })).toBe('laravel_')
    expect(prefix({})).toBe('')
  })

  it('are told for each value', () => {
    const { sources } = load({
      cwd: file(),
      argv: ['--host=::1'],
      env: { CONFIG: 'gateway.json', LARAVEL_DIR: laravel(), LOG_LEVEL: 'warn' },
    })
    expect(sources.host).toEqual({ layer: 'flag', label: '`--host`' })
    expect(sources.logLevel).toEqual({ layer: 'environment', label: '`LOG_LEVEL`' })
    expect(sources.port).toEqual({ layer: 'file', label: '`port` in gateway.json' })
    expect(sources.redis.layer).toBe('laravel')
    expect(sources.drainMs).toEqual({ layer: 'default', label: 'default' })
  })

  it('may be empty, which counts as unset', () => {
    expect(load({ env: { PORT: '', REDIS_URL: '', APP_URL: '', REDIS_PASSWORD: 'null' } })).toMatchObject({
      port: 6001,
      redis: null,
      redisPassword: null,
    })
  })

  it('hold lists as commas, repeated flags and JSON lists', () => {
    const expected = ['https://a.test', 'http://b.test:8080']
    const origins = (given: Given) => load(given).allowOrigins
    expect(origins({ argv: ['--allow-origin', 'https://A.test/', '--allow-origin=http://b.test:8080'] })).toEqual(
      expected,
    )
    expect(origins({ env: { ALLOW_ORIGINS: 'https://a.test:443, http://b.test:8080,' } })).toEqual(expected)
    const cwd = folderWith({ 'c.json': JSON.stringify({ allowOrigins: expected }) })
    expect(origins({ cwd, argv: ['--config', 'c.json'] })).toEqual(expected)
  })

  it('hold sizes with suffixes', () => {
    const argv = ['--max-body-bytes', '128k', '--backlog-bytes=2M', '--history-bytes', '1g', '--max-url-bytes', '9000']
    expect(load({ argv })).toMatchObject({
      maxBodyBytes: 131_072,
      backlogBytes: 2_097_152,
      historyBytes: 1_073_741_824,
      maxUrlBytes: 9000,
    })
  })

  it('hold truth in the usual words', () => {
    for (const word of ['1', 'true', 'YES', 'on'])
      expect(load({ env: { AUTH_ANONYMOUS: word } }).authAnonymous).toBe(true)
    for (const word of ['0', 'false', 'no', 'Off']) expect(load({ env: { TRY_PAGE: word } }).tryPage).toBe(false)
  })

  it('take id, key and secret from the broadcaster in use and never mix two', () => {
    const pusher = { PUSHER_APP_ID: 'p', PUSHER_APP_KEY: 'pk', PUSHER_APP_SECRET: 'ps' }
    const reverb = { REVERB_APP_ID: 'r', REVERB_APP_KEY: 'rk', REVERB_APP_SECRET: 'rs' }
    const both = { ...pusher, ...reverb }
    expect(load({ env: { ...both, BROADCAST_CONNECTION: 'reverb' } })).toMatchObject({ appId: 'r', appSecret: 'rs' })
    expect(load({ env: { ...both, BROADCAST_DRIVER: 'pusher' } })).toMatchObject({ appId: 'p', appSecret: 'ps' })
    expect(load({ env: reverb })).toMatchObject({ appId: 'r', appKey: 'rk', appSecret: 'rs' })
    expect(faultsOf({ env: { ...reverb, PUSHER_APP_SECRET: 'ps' } })).toHaveLength(1)
  })
})

describe('faults', () => {
  it('are all told at once, each with its place', () => {
    const cwd = folderWith({ 'gateway.json': '{"prot": 1, "maxChannels": 0, "host": {}}' })
    const faults = faultsOf({
      cwd,
      argv: ['--port', 'abc', '--redis-prefx', 'x', '--config', 'gateway.json', '--drain-ms'],
      env: { REDIS_URL: 'localhost', ALLOW_ORIGINS: 'app.test' },
    })
    expect(faults).toEqual([
      '`--redis-prefx` is not an option; did you mean `--redis-prefix`?',
      '`--drain-ms` needs a value: --drain-ms N.',
      '`prot` in gateway.json is not an option; did you mean `port`?',
      '`host` in gateway.json must be a text, a number, a boolean or a list of texts.',
      '`--port` must be a number from 0 to 65535, got `abc`.',
      '`REDIS_URL` must be a redis://, rediss:// or unix:// URL, such as redis://127.0.0.1:6379, got `localhost`.',
      '`ALLOW_ORIGINS` must be an origin such as https://app.example.com (scheme, host, port; no path), or *, got `app.test`.',
      '`maxChannels` in gateway.json must be a number from 1 to 10000, got `0`.',
    ])
  })

  it.each([
    [['--port', '65536'], /--port.*0 to 65535/],
    [['--port', '--host', '::1'], /--port.*needs a value/],
    [['--host', ''], /--host.*must be a host name/],
    [['--backlog-bytes', '1t'], /--backlog-bytes.*size/],
    [['--allow-origin', 'https://a.test/path'], /origin/],
    [['--allow-origin', 'null'], /origin/],
    [['--allow-origin', '*', '--allow-origin', 'https://a.test'], /--allow-origin.*`\*`/],
    [['--trust-proxy', '10.0.0.0/33'], /--trust-proxy/],
    [['--trust-proxy', 'none,loopback'], /none/],
    [['--redis', 'redis://h/db'], /redis:\/\//],
    [['--redis', 'http://h'], /redis:\/\//],
    [['--redis-cluster', 'one'], /host:port/],
    [['--auth-endpoint', 'broadcasting/auth'], /begins with \//],
    [['--auth-endpoint', '//evil.test'], /begins with \//],
    [['--laravel-url', 'localhost:8000'], /http:\/\//],
    [['--log-level', 'verbose'], /one of fatal, error/],
    [['--heartbeat-ms', '60000'], /2000 to 55000/],
    [['--try-page=maybe'], /true or false/],
    [['--no-port'], /not an option/],
    [['-p', '6001'], /`-p` is not an option/],
    [['surplus'], /`surplus` is not expected/],
    [['--laravel', '/nowhere'], /--laravel.*readable \.env/],
    [['--config', '/nowhere.json'], /--config.*cannot be read/],
  ])('%j', (argv, sentence) => {
    const faults = faultsOf({ argv })
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(sentence)
  })

  it.each([
    [['--socket', '/s', '--port', '1'], /`--socket` and `--port` exclude each other/],
    [['--redis', 'redis://a', '--redis-cluster', 'b:1'], /exclude each other/],
    [['--redis-sentinels', 'a:1', '--redis-cluster', 'b:1'], /exclude each other/],
    [['--app-key', 'k'], /`--app-key` is set without `--app-id` and `--app-secret`/],
    [['--app-key', 'k', '--app-id', '1'], /`--app-id` and `--app-key` are set without `--app-secret`/],
    [
      ['--backlog-bytes', '2m', '--total-backlog-bytes', '1m'],
      /--backlog-bytes.*must not exceed.*--total-backlog-bytes/,
    ],
    [['--history-channel-bytes', '2m', '--history-bytes', '1m'], /must not exceed/],
    [['--headers-timeout-ms', '40000'], /must not exceed `--request-timeout-ms` \(30000\)/],
    [['--marker-interval-ms', '2000', '--ready-timeout-ms', '3000'], /at least twice/],
    [['--admin-port', '6001'], /must differ/],
    [['--redis-password', 'x'], /`--redis-password` has no effect without --redis/],
    [['--redis', 'redis://a', '--redis-sentinel-name', 'x'], /no effect without --redis-sentinels/],
    [['--redis', 'redis://a', '--redis-tls-ca', '/ca.pem'], /no effect without TLS/],
    [
      ['--redis', 'redis://a', '--more-app-keys', 'key:secret'],
      /`--more-app-keys` has no effect without --app-id, --app-key and --app-secret/,
    ],
    [['--more-app-keys', 'key:secret,key:other'], /`--more-app-keys` names a key twice/],
    [
      ['--app-id', '1', '--app-key', 'key', '--app-secret', 's', '--more-app-keys', 'key:secret'],
      /`--more-app-keys` names a key twice, or the app key/,
    ],
    [['--more-app-keys', 'key'], /`--more-app-keys` must be a key and its secret/],
    [['--webhook-events', 'member_added'], /`--webhook-events` has no effect without --webhook-urls/],
    [
      ['--redis', 'redis://a', '--webhook-urls', 'https://a.example/hooks'],
      /`--webhook-urls` needs --app-id, --app-key and --app-secret: webhooks are signed/,
    ],
  ])('of relations: %j', (argv, sentence) => {
    const faults = faultsOf({ argv })
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(sentence)
  })

  it('never show a secret', () => {
    const text = faultsOf({
      argv: ['--secret', 'hunter2', '--redis', 'http://u:hunter2@h/x'],
      env: { PUSHER_APP_ID: '1', PUSHER_APP_SECRET: 'hunter2' },
    }).join('\n')
    expect(text).toMatch(/`--secret` must be at least 16 characters/)
    expect(text).not.toContain('hunter2')
  })
})

describe('relations', () => {
  it('let the stronger source win between rivals', () => {
    expect(load({ argv: ['--socket', '/s'], env: { PORT: '80' } })).toMatchObject({ socket: '/s', port: 6001 })
    expect(load({ argv: ['--port', '80'], env: { SOCKET: '/s' } })).toMatchObject({ socket: null, port: 80 })
  })

  it('shrink a default that would exceed what was set', () => {
    expect(
      load({ argv: ['--history-bytes', '1m', '--max-connections', '10', '--marker-interval-ms', '5000'] }),
    ).toMatchObject({
      historyChannelBytes: 1_048_576,
      maxConnectionsPerAddress: 10,
      readyTimeoutMs: 15_000,
    })
  })

  it('send a password of Laravel to no other server', () => {
    const dir = folderWith({ '.env': 'BROADCAST_CONNECTION=redis\nREDIS_HOST=a\nREDIS_PASSWORD=hunter2\n' })
    expect(load({ argv: ['--laravel', dir] })).toMatchObject({ redis: 'redis://a:6379/0', redisPassword: 'hunter2' })
    const other = load({ argv: ['--laravel', dir, '--redis', 'redis://b'] })
    expect(other).toMatchObject({ redis: 'redis://b', redisPassword: null, redisPrefix: 'laravel_database_' })
    expect(other.notes.join('\n')).toMatch(/REDIS_PASSWORD of Laravel's \.env are not used/)
    expect(load({ argv: ['--laravel', dir, '--redis-cluster', 'c:1'] })).toMatchObject({
      redis: null,
      redisPassword: null,
    })
  })

  it('use the memory broker, and say so, when Laravel does not broadcast through Redis', () => {
    const dir = folderWith({ '.env': 'BROADCAST_CONNECTION=log\nREDIS_HOST=a\nREDIS_PASSWORD=hunter2\n' })
    const config = load({ argv: ['--laravel', dir] })
    expect(config).toMatchObject({ broker: 'memory', redis: null, redisPassword: null })
    expect(config.notes.join('\n')).toMatch(/BROADCAST_CONNECTION=log, not redis/)
  })

  it("take Laravel's credentials as a whole or not at all", () => {
    const dir = folderWith({
      '.env': 'BROADCAST_CONNECTION=reverb\nREVERB_APP_ID=1\nREVERB_APP_KEY=k\nREVERB_APP_SECRET=s\n',
    })
    expect(load({ argv: ['--laravel', dir] })).toMatchObject({
      appId: '1',
      appSecret: 's',
      usesDefaultCredentials: false,
    })
    expect(faultsOf({ argv: ['--laravel', dir, '--app-key', 'other'] })[0]).toMatch(
      /without `--app-id` and `--app-secret`/,
    )
  })
})

describe('defaultConfig', () => {
  it('is what an empty command line gives, changed as asked', () => {
    expect(defaultConfig()).toEqual(load({}))
    expect(defaultConfig({ redis: 'redis://h', redisPrefix: 'x_' })).toMatchObject({
      broker: 'redis',
      redisPrefix: 'x_',
      tryPage: false,
      appSecret: null,
    })
    expect(defaultConfig({ usesDefaultCredentials: false }).usesDefaultCredentials).toBe(false)
  })

  it('shares nothing between two calls', () => {
    defaultConfig().trustProxy.push('10.0.0.1')
    expect(defaultConfig().trustProxy).toEqual(['loopback', 'unix'])
  })
})
