import { readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { init } from '../../src/cli/init.ts'
import { type Config, loadConfig } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { FakeLaravel, REFUSAL } from '../support/fake-laravel.ts'
import { folderWith } from '../support/folder.ts'
import { requirePart } from '../support/parts.ts'
import { runCommand, runProgram } from '../support/program.ts'
import { startRedis } from '../support/redis.ts'

const FORMER = readFileSync(join(import.meta.dirname, '../config/laravel-echo-server/all-answers.json'), 'utf8')
/** Nobody listens there. */
const NOWHERE = ['--redis', 'redis://127.0.0.1:1', '--laravel-url', 'http://127.0.0.1:1']
const FILE = 'laravel-echo-sse.json'

const read = (folder: string, file = FILE) => JSON.parse(readFileSync(join(folder, file), 'utf8'))

function load(cwd: string, file = FILE): Config {
  const result = loadConfig({ argv: ['--config', file], env: {}, cwd })
  if ('faults' in result) throw new Error(result.faults.join('\n'))
  return result.config
}

describe.runIf(requirePart('redis'))('init', () => {
  it('tries Redis and Laravel, writes what start reads, and says how to start', async () => {
    const redis = await startRedis()
    atEndOfTest(() => redis.close())
    const laravel = await FakeLaravel.start(REFUSAL)
    atEndOfTest(() => laravel.close())
    const cwd = folderWith({})
    const answers = ['', 'n', '7001', 'y', 'n', redis.url, 'shop_', laravel.url, '', 'n', '']
    const { code, out } = await runCommand(init, [], { cwd, answers })
    expect(code).toBe(0)
    expect(out).toContain(`Redis at 127.0.0.1:${redis.port} answers.`)
    expect(out).toContain(`Laravel answers at ${laravel.url}/broadcasting/auth as it should.`)
    expect(out).toContain('nginx/gateway.conf')
    expect(out).toContain(`Start the gateway: gateway start --config ${FILE}`)
    expect(read(cwd)).toEqual({
      port: 7001,
      redis: redis.url,
      redisPrefix: 'shop_',
      laravelUrl: laravel.url,
      authEndpoint: '/broadcasting/auth',
    })
    expect(load(cwd)).toMatchObject({ port: 7001, broker: 'redis', redisPrefix: 'shop_' })
  })

  it('keeps what it wrote from others, as it holds secrets', async () => {
    const cwd = folderWith({})
    await runCommand(init, ['--yes', ...NOWHERE], { cwd })
    expect(statSync(join(cwd, FILE)).mode & 0o777).toBe(0o600)
  })

  it('asks again after what does not work, until it is told to go on', async () => {
    const redis = await startRedis()
    atEndOfTest(() => redis.close())
    const cwd = folderWith({})
    const laravel = ['--laravel-url', 'http://127.0.0.1:1', '--auth-endpoint', '/auth']
    const answers = ['', 'n', '', 'n', 'n', 'localhost', 'redis://127.0.0.1:1', '', 'y', redis.url, '', 'n', '']
    const { code, out } = await runCommand(init, laravel, { cwd, answers })
    expect(code).toBe(0)
    expect(out).toContain('This must be a redis://')
    expect(out).toMatch(/127\.0\.0\.1:1\b.*\n.*Answer again\?/)
    expect(out).toContain('Nobody listens at http://127.0.0.1:1/auth')
    expect(read(cwd).redis).toBe(redis.url)
  })
})

describe('init', () => {
  it('asks nothing with --yes, and writes although nothing answers', async () => {
    const cwd = folderWith({})
    const { code, out } = await runCommand(init, ['--yes', '--port', '7002', ...NOWHERE], { cwd })
    expect(code).toBe(0)
    expect(out).toMatch(/Nobody listens at|did not answer|ECONNREFUSED/)
    expect(read(cwd)).toMatchObject({ port: 7002, redis: 'redis://127.0.0.1:1', laravelUrl: 'http://127.0.0.1:1' })
  })

  it('takes the answers of a laravel-echo-server.json', async () => {
    const cwd = folderWith({ 'laravel-echo-server.json': FORMER })
    const { code, out } = await runCommand(init, ['--yes', ...NOWHERE], { cwd })
    expect(code).toBe(0)
    expect(out).toMatch(/clients of laravel-echo-server\.json publish without a signature/)
    expect(read(cwd)).toMatchObject({
      port: 7001,
      logLevel: 'debug',
      allowOrigins: ['https://app.example.com', 'http://127.0.0.1:1'],
      redis: 'redis://127.0.0.1:1',
    })
    expect(load(cwd).echoServerClients).toEqual([])
  })

  it('says why a file cannot be written, and writes none that a link names', async () => {
    const cwd = folderWith({})
    const nowhere = await runCommand(init, ['--yes', '--config', 'nowhere/x.json', ...NOWHERE], { cwd })
    expect(nowhere).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^nowhere\/x\.json cannot be written: ENOENT/),
    })
    symlinkSync(join(cwd, 'elsewhere.json'), join(cwd, 'link.json'))
    const link = await runCommand(init, ['--yes', '--config', 'link.json', ...NOWHERE], { cwd })
    expect(link).toMatchObject({ code: 1, err: expect.stringMatching(/link\.json is there already/) })
    expect(readdirSync(cwd)).toEqual(['link.json'])
  })

  it("leaves to Laravel's .env what it says, and tells the prefix it derives", async () => {
    const env =
      'APP_NAME="My Shop"\nAPP_URL=http://127.0.0.1:1\nBROADCAST_CONNECTION=redis\nREDIS_HOST=127.0.0.1\nREDIS_PORT=1\n'
    const cwd = folderWith({ '.env': env, artisan: '' })
    const { code, out } = await runCommand(init, [], { cwd, answers: Array(20).fill('') })
    expect(code).toBe(1)
    const silent = await runCommand(init, ['--yes'], { cwd })
    expect(silent.code).toBe(0)
    expect(out).toMatch(/Which Redis .* \[redis:\/\/127\.0\.0\.1:1\/0\]/)
    expect(out).toMatch(/prefix \(.*APP_NAME.*\)\? \[my_shop_database_\]/)
    expect(Object.keys(read(cwd))).not.toContain('redis')
    expect(read(cwd).laravel).toBe(cwd)
    expect(load(cwd)).toMatchObject({ redis: 'redis://127.0.0.1:1/0', laravelUrl: 'http://127.0.0.1:1' })
  })

  it('generates credentials, and says what Laravel needs of them', async () => {
    const cwd = folderWith({})
    const { out } = await runCommand(init, NOWHERE, {
      cwd,
      answers: ['', 'n', '', 'n', 'n', '', 'n', '', 'n', 'y', ''],
    })
    const { appId, appKey, appSecret } = read(cwd)
    expect(out).toContain(`PUSHER_APP_ID=${appId}\nPUSHER_APP_KEY=${appKey}\nPUSHER_APP_SECRET=${appSecret}\n`)
    expect([appId, appKey, appSecret].map((text) => text.length)).toEqual([16, 32, 32])
    expect(load(cwd)).toMatchObject({ appId, appKey, appSecret, usesDefaultCredentials: false })
  })

  it('never writes over a file without being told to', async () => {
    const cwd = folderWith({ [FILE]: 'mine', 'other.json': 'mine' })
    const silent = await runCommand(init, ['--yes', ...NOWHERE], { cwd })
    expect([silent.code, silent.err]).toEqual([1, expect.stringContaining(`${FILE} is there already`)])
    expect(readFileSync(join(cwd, FILE), 'utf8')).toBe('mine')
    const questions = ['', 'n', '', 'n', 'n', '', 'n', '', 'n', 'n']
    await runCommand(init, NOWHERE, { cwd, answers: [...questions, FILE, 'n', 'other.json', 'y'] })
    expect(readFileSync(join(cwd, FILE), 'utf8')).toBe('mine')
    expect(read(cwd, 'other.json')).toMatchObject({ redis: 'redis://127.0.0.1:1' })
    expect(statSync(join(cwd, 'other.json')).mode & 0o777).toBe(0o600)
  })

  it('writes nothing when nobody answers any more', async () => {
    const cwd = folderWith({})
    const { code, err } = await runCommand(init, NOWHERE, { cwd, answers: ['', 'n'] })
    expect([code, err]).toEqual([1, expect.stringContaining('nothing was written')])
    expect(() => read(cwd)).toThrow('ENOENT')
  })

  it('names the file to write with --config, and all that is wrong with the flags', async () => {
    const cwd = folderWith({})
    await runCommand(init, ['--yes', '--config', 'own.json', ...NOWHERE], { cwd })
    expect(read(cwd, 'own.json')).toMatchObject({ redis: 'redis://127.0.0.1:1' })
    const { code, err } = await runCommand(init, ['--yes', 'now', '--prot', '1'], { cwd })
    expect(code).toBe(2)
    expect(err).toContain('did you mean `--port`?')
    expect((await runCommand(init, ['--yes', '--port', 'x'], { cwd })).err).toContain('must be a number')
  })

  it.each(['init', 'configure'])('reads its answers from standard input: %s', async (name) => {
    const cwd = folderWith({})
    const { code, out, err } = await runProgram([name, ...NOWHERE, '--auth-endpoint', '/auth'], {
      cwd,
      input: '\nn\n7003\nn\nn\n\nn\n\n',
    })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('Which port to serve from? [6001]')
    expect(read(cwd).port).toBe(7003)
  })
})
