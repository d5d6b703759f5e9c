import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type RequestOptions, request } from 'node:http'
import { connect } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { atEndOfTest } from '../support/at-end.ts'
import { makeCertificates } from '../support/certificates.ts'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { LineReader } from '../support/line-reader.ts'
import { checkNginx, type Nginx, startNginx } from '../support/nginx.ts'
import { requirePart } from '../support/parts.ts'
import { openStream, SseClient } from '../support/sse-client.ts'

const FOLDER = `${import.meta.dirname}/../../nginx`
const GATEWAY_CONF = readFileSync(`${FOLDER}/gateway.conf`, 'utf8')
const INCLUDED = `include ${FOLDER}/gateway.conf;`

describe.runIf(requirePart('nginx'))('the configuration for nginx', () => {
  let running: RunningGateway
  let nginx: Nginx
  let log: LineReader
  let root: string

  /** The shipped upstream, on the gateway of this test. */
  const upstream = () => {
    const shipped = readFileSync(`${FOLDER}/upstream.conf`, 'utf8')
    return shipped.replace('server 127.0.0.1:6001;', `server 127.0.0.1:${running.port};`)
  }
  const server = (port: number, ...lines: string[]) =>
    `${upstream()}\nserver { listen 127.0.0.1:${port}; ${lines.join('\n')} }`
  const startVariant = async (...lines: string[]) => {
    const variant = await startNginx({ config: (port) => server(port, ...lines) })
    atEndOfTest(() => variant.stop())
    return variant
  }
  /** The next line of the gateway's log with these fields. */
  const logged = async (fields: Record<string, string>) => {
    for (;;) {
      const line = JSON.parse((await log.next()) ?? 'null')
      if (Object.entries(fields).every(([name, value]) => line[name] === value)) return line
    }
  }

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'root-'))
    writeFileSync(join(root, 'a-file-of-this-server.txt'), 'private')
    const destination = new PassThrough()
    log = new LineReader(destination)
    running = await startGateway({}, { logger: pino({ level: 'info' }, destination) })
    nginx = await startNginx({ config: (port) => server(port, `root ${root};`, INCLUDED) })
  })
  afterAll(async () => {
    await nginx?.stop()
    await running?.stop()
    rmSync(root, { recursive: true, force: true })
  })

  it('passes nginx -t as it is shipped', async () => {
    const said = await checkNginx(`include ${FOLDER}/upstream.conf;\nserver { listen 127.0.0.1:1; ${INCLUDED} }`)
    expect(said).toContain('test is successful')
    expect(said).not.toContain('[warn]')
  })

  it('gives a reason for every directive', () => {
    for (const text of [GATEWAY_CONF, readFileSync(`${FOLDER}/upstream.conf`, 'utf8')]) {
      const bare = text.split('\n').filter((line, index, lines) => {
        const isDirective = /^\s*[a-z_]+ [^#]*;/.test(line) && !/^\s*proxy_pass /.test(line)
        return isDirective && !line.includes('#') && !/^\s*#/.test(lines[index - 1] ?? '')
      })
      expect(bare).toEqual([])
    }
  })

  it('hangs up only after more silence than any heartbeat leaves', () => {
    const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(GATEWAY_CONF) ?? []
    const result = loadConfig({ argv: ['--heartbeat-ms', `${Number(seconds)}000`], env: {}, cwd: '.' })
    expect(result).toEqual({ faults: [expect.stringContaining('`--heartbeat-ms` must be')] })
  })

  describe('the stream', () => {
    it('arrives event by event', async () => {
      await expectOneByOne(await openStream(`${nginx.url}/stream?channels=orders`))
    })

    it('is held back by a buffering nginx, which this suite would notice', async () => {
      // Chunks of HTTP/1.1 leave nginx as they come even from its buffers; without them it waits for a full one.
      const collecting = 'proxy_http_version 1.0; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;'
      const shipped = /proxy_http_version 1\.1;[\s\S]*?proxy_buffering off;/
      expect(GATEWAY_CONF).toMatch(shipped)
      const buffering = await startVariant(GATEWAY_CONF.replace(shipped, collecting))
      let hasBegun = false
      const held = ask('/stream?channels=orders', { localAddress: '127.0.0.3' }, buffering).then((stream) => {
        hasBegun = true
        return stream
      })
      await logged({ msg: 'stream opened', address: '127.0.0.3' })
      await expectOneByOne(await openStream(`${nginx.url}/stream?channels=orders`))
      expect(hasBegun).toBe(false)
      running.gateway.services.hub.endAll('shutdown', () => 0)
      const stream = await held
      expect((await stream.take(3, 'message')).map(({ data }) => data.event)).toEqual(['Sent1', 'Sent2', 'Sent3'])
    })

    it('arrives event by event where nothing but proxy_pass is configured, and without chunk sizes', async () => {
      const plain = await startVariant('location / { proxy_http_version 1.0; proxy_pass http://laravel_echo_sse; }')
      const stream = await openStream(`${plain.url}/stream?channels=orders`)
      await expectOneByOne(stream)
      const fields = /^(retry|id|event|data): /
      expect(stream.text.split('\n').filter((line) => line !== '' && !fields.test(line))).toEqual([])
    })

    it('arrives under a path of another server', async () => {
      const prefixed = GATEWAY_CONF.replace(/location (= )?\//g, 'location $1/sse/')
      const shared = await startVariant('location / { return 204; }', prefixed)
      await expectOneByOne(await openStream(`${shared.url}/sse/stream?channels=orders`))
      expect((await fetch(`${shared.url}/sse/metrics`)).status).toBe(404)
      expect((await fetch(`${shared.url}/page`)).status).toBe(204)
    })

    it('takes its channels from a body too', async () => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ channels: ['orders'] })
      await expectOneByOne(await openStream(`${nginx.url}/stream`, { method: 'POST', headers, body }))
    })

    it('ends at the gateway when the page is closed', async () => {
      const stream = await openStream(`${nginx.url}/stream?channels=orders`)
      const { socketId } = (await stream.next('connected')).data
      stream.close()
      expect((await logged({ msg: 'stream ended', socketId })).reason).toBe('client')
    })

    it('carries what pages say: a whisper, and that one is gone', async () => {
      running.authorizer.decides(({ credentials }) => {
        const id = credentials.headers.authorization ?? ''
        return { allowed: true, member: { id, info: null } }
      })
      const join = async (authorization: string) => {
        const stream = await openStream(`${nginx.url}/stream?channels=presence-room`, { headers: { authorization } })
        const { socketId, key } = (await stream.next('connected')).data
        await stream.next('subscribed')
        const say = (path: string, body: object) =>
          fetch(`${nginx.url}${path}`, {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify({ ...body, socketId, key }),
          })
        return { stream, say }
      }
      const ada = await join('Ada')
      const bob = await join('Bob')
      const whisper = { channel: 'presence-room', event: 'client-typing', data: { on: true } }
      expect((await bob.say('/whisper', whisper)).status).toBe(204)
      expect((await ada.stream.next('message')).data).toEqual({ ...whisper, userId: 'Bob' })
      expect((await bob.say('/leave', {})).status).toBe(204)
      expect((await ada.stream.next('leaving')).data.member.id).toBe('Bob')
      expect((await bob.stream.next('bye')).data.reason).toBe('left')
    })

    it('answers a long-poll with its length', async () => {
      const first = await openStream(`${nginx.url}/stream?channels=orders&mode=poll`)
      expect(await first.ended).toBe(true)
      const second = openStream(`${nginx.url}/stream?channels=orders&mode=poll&lastEventId=${first.lastEventId}`)
      await running.publish('orders', 'Polled')
      const answer = await second
      expect((await answer.next('message')).data.event).toBe('Polled')
      expect(await answer.ended).toBe(true)
      for (const { headers, text } of [first, answer]) {
        expect(headers['content-length']).toBe(String(Buffer.byteLength(text)))
        expect(headers['transfer-encoding']).toBeUndefined()
      }
    })

    it('arrives by TLS and HTTP/2, where the origin is https', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'certificates-'))
      atEndOfTest(() => rmSync(dir, { recursive: true, force: true }))
      const { certFile, keyFile } = await makeCertificates(dir)
      const tls = await startNginx({
        config: (port) =>
          `${upstream()}
          server {
            listen 127.0.0.1:${port} ssl http2;
            ssl_certificate ${certFile};
            ssl_certificate_key ${keyFile};
            ${INCLUDED}
          }`,
      })
      atEndOfTest(() => tls.stop())
      const session = connect(`https://127.0.0.1:${tls.port}`, { rejectUnauthorized: false })
      atEndOfTest(() => session.destroy())
      const from = (origin: string) => {
        const asked = session.request({ ':path': '/stream?channels=orders', ':authority': 'sse.example.test', origin })
        asked.on('error', () => {})
        return asked
      }
      expect(await statusOf(from('http://sse.example.test'))).toBe(403)
      const stream = from('https://sse.example.test')
      expect(await statusOf(stream)).toBe(200)
      const lines = new LineReader(stream)
      await untilLine(lines, 'event: subscribed')
      await running.publish('orders', 'Encrypted')
      await untilLine(lines, 'data: {"channel":"orders","event":"Encrypted","data":{}}')
    })
  })

  describe('who asks', () => {
    it.each([
      ['', {}],
      [', whatever it claims', { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', via: '1.1 mine' }],
    ])('is the peer of nginx%s', async (_case, headers) => {
      const asked = await ask('/stream?channels=orders', { localAddress: '127.0.0.2', headers })
      const { socketId } = (await asked.next('connected')).data
      expect((await logged({ msg: 'stream opened', socketId })).address).toBe('127.0.0.2')
    })

    it.each([
      ['example.test', 'http://example.test', 200],
      ['example.test:8080', 'http://example.test:8080', 200],
      ['example.test', 'https://example.test', 403],
      ['example.test', 'http://evil.example', 403],
    ])('at %s is judged by its Origin %s', async (host, origin, status) => {
      expect((await ask('/stream?channels=orders', { headers: { host, origin } })).status).toBe(status)
    })

    it.each([
      { 'x-forwarded-host': 'evil.example' },
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example' },
      { 'x-forwarded-port': '8080' },
    ])('cannot claim another address of the gateway: %j', async (claims) => {
      const own = { host: 'example.test', origin: 'http://example.test' }
      expect((await ask('/stream?channels=', { headers: { ...own, ...claims } })).status).toBe(200)
      const foreign = { host: 'example.test', origin: 'http://evil.example' }
      expect((await ask('/stream?channels=', { headers: { ...foreign, ...claims } })).status).toBe(403)
    })
  })

  describe('what is refused', () => {
    it.each([
      ['a URL over 8 KiB', `/stream?channels=${'a'.repeat(8192)}`, {}, 414, 'uri_too_long'],
      ['headers over 16 KiB', '/stream?channels=a', { cookie: 'a'.repeat(17_000) }, 431, 'headers_too_large'],
    ])('is %s, by the gateway in its own words', async (_case, path, headers, status, code) => {
      const answer = await ask(path, { headers })
      await answer.ended
      expect(answer.status).toBe(status)
      expect(JSON.parse(answer.text).error.code).toBe(code)
    })

    it.each([
      ['a URL far beyond that', `/stream?channels=${'a'.repeat(30_000)}`, {}, 414],
      ['headers far beyond that', '/stream?channels=a', { cookie: 'a'.repeat(30_000) }, 400],
    ])('is %s, by nginx', async (_case, path, headers, status) => {
      expect((await ask(path, { headers })).status).toBe(status)
    })

    it.each([
      [64 * 1024, 200, 'text/event-stream'],
      [64 * 1024 + 1, 413, 'text/html'],
    ])('is a body of more than 64 KiB, before the gateway sees it: %i bytes get %i', async (size, status, type) => {
      const form = { 'content-type': 'application/x-www-form-urlencoded' }
      const body = 'channels=&x='.padEnd(size, 'x')
      const answer = await openStream(`${nginx.url}/stream`, { method: 'POST', headers: form, body })
      expect(answer.status).toBe(status)
      expect(answer.headers['content-type']).toBe(type)
    })

    it('is what stays inside', async () => {
      expect((await fetch(`${nginx.url}/`)).status).toBe(404)
      expect((await fetch(`${nginx.url}/metrics`)).status).toBe(404)
      expect((await fetch(`${nginx.url}/a-file-of-this-server.txt`)).status).toBe(404)
      expect((await fetch(`${nginx.url}/apps/local/events`, { method: 'POST', body: '{}' })).status).toBe(404)
    })

    it('is not the question how the gateway is', async () => {
      expect(await (await fetch(`${nginx.url}/health`)).json()).toEqual({ status: 'ok' })
      expect(await (await fetch(`${nginx.url}/ready`)).json()).toEqual({ status: 'ready' })
    })
  })

  /** Each event is waited for before the next one is sent: a proxy that collects would never let this end. */
  async function expectOneByOne(stream: SseClient): Promise<void> {
    await stream.next('subscribed')
    for (const event of ['Sent1', 'Sent2', 'Sent3']) {
      await running.publish('orders', event)
      expect((await stream.next('message')).data.event).toBe(event)
    }
  }

  function ask(path: string, options: RequestOptions, { url } = nginx): Promise<SseClient> {
    return new Promise((resolve, reject) => {
      const asked = request(`${url}${path}`, { agent: false, ...options })
      asked.once('response', (response) => resolve(new SseClient(asked, response))).once('error', reject)
      asked.end()
    })
  }
})

function statusOf(asked: Readable): Promise<number> {
  return new Promise((resolve, reject) => {
    asked.once('response', (headers) => resolve(headers[':status'])).once('error', reject)
  })
}

async function untilLine(lines: LineReader, wanted: string): Promise<void> {
  let line: string | null
  do line = await lines.next()
  while (line !== null && line !== wanted)
  expect(line).toBe(wanted)
}
