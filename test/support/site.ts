import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import vue from '@vitejs/plugin-vue'
import type { Browser } from 'playwright-core'
import { build, type InlineConfig } from 'vite'
import { launchChromium } from './browser.ts'
import { type Consumer, consumerOfClient } from './client-package.ts'
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
import { type Laravel, type LaravelOptions, startLaravel } from './laravel.ts'
import { type Nginx, startNginx } from './nginx.ts'
import type { Part } from './parts.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { openSitePage, type SitePage } from './site-page.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { type Watched, watch } from './watched.ts'

const ROOT = join(import.meta.dirname, '../..')
const PAGES = join(ROOT, 'test/e2e/client-pages')

/** For `requirePart`. */
export const SITE_PARTS: Part[] = ['redis', 'php', 'nginx', 'chromium']

export type SiteOptions = {
  laravel?: Partial<LaravelOptions>
  /** Further arguments of the gateway. */
  gateway?: (redis: RedisServer) => string[]
  /** What pages may import besides the client. */
  packages?: string[]
}

/** A script for a page, as Vite builds it for production. */
export type Script = Pick<InlineConfig, 'define' | 'resolve'> & {
  /** A file of test/e2e/client-pages, or one that was written into the consumer's `src`. */
  entry: string
}

/**
 * An application as its users see it: nginx, before it Chromium, behind it a real Laravel at `/` and a gateway process
 * at `/sse/` and at `/stream`, with a real Redis between them. Scripts come out of the packed client, by way of Vite.
 */
export type Site = {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly laravel: Laravel
  readonly gateway: GatewayProcess
  /** Between nginx and the gateway. */
  readonly line: TcpProxy
  readonly consumer: Consumer
  build(name: string, script: Script): Promise<void>
  /** Laravel's own page with this script, of a user who has logged in, or of a guest. */
  open(script: string, userId?: number, address?: string): Promise<SitePage>
  close(): Promise<void>
}

export async function startSite({
  laravel: application,
  gateway: more,
  packages = [],
}: SiteOptions = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'site-'))
  const closes: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  const close = async () => {
    for (const end of closes.splice(0).reverse()) await end()
  }
  const own = <T>(thing: T, end: () => unknown): T => {
    closes.push(end)
    return thing
  }

  try {
    const consumer = consumerOfClient(packages)
    own(consumer, () => consumer.remove())
    cpSync(PAGES, join(consumer.folder, 'src'), { recursive: true })
    const redis: RedisServer = await startRedis()
    own(redis, () => redis.close())
    const base: LaravelOptions = { app: 'laravel-12', redisClient: 'predis', redisPort: redis.port }
    const laravel: Laravel = await startLaravel({ ...base, ...application })
    own(laravel, () => laravel.stop())
    const args = ['--laravel', laravel.dir, '--linger-ms', '800', ...(more?.(redis) ?? [])]
    const gateway: GatewayProcess = await startGatewayProcess(args)
    own(gateway, () => gateway.stop())
    const line: TcpProxy = await startTcpProxy(Number(new URL(gateway.url).port))
    own(line, () => line.close())
    const asked: Watched = await watch(`http://127.0.0.1:${line.port}`)
    own(asked, () => asked.close())
    const nginx: Nginx = await startNginx({ config: (port) => inFrontOf(asked.url, laravel.url, folder, port) })
    own(nginx, () => nginx.stop())
    const browser: Browser = await launchChromium()
    own(browser, () => browser.close())

    return {
      url: nginx.url,
      laravel,
      gateway,
      line,
      consumer,
      build: (name, script) => buildScript(consumer.folder, join(folder, name), script),
      open: (script, userId, address = nginx.url) =>
        openSitePage(browser, { address, script: `${nginx.url}/build/${script}/page.js`, userId, asked }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function buildScript(root: string, outDir: string, { entry, define, resolve }: Script): Promise<void> {
  mkdirSync(outDir, { recursive: true })
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    plugins: [vue()],
    define: { 'process.env.NODE_ENV': '"production"', ...define },
    ...(resolve && { resolve }),
    build: {
      outDir,
      emptyOutDir: true,
      rolldownOptions: { input: join(root, 'src', entry), output: { entryFileNames: 'page.js' } },
    },
  })
}

/** As gateway.conf says for the server block of the application itself; and once more without a path of its own. */
function inFrontOf(gatewayUrl: string, laravelUrl: string, folder: string, port: number): string {
  const shipped = (name: string) => readFileSync(join(ROOT, 'nginx', name), 'utf8')
  return `${shipped('upstream.conf').replace('127.0.0.1:6001', new URL(gatewayUrl).host)}
    types { text/javascript js; text/css css; }
    server {
      listen 127.0.0.1:${port};
      location = /favicon.ico { return 204; }
      location / { proxy_pass ${laravelUrl}; proxy_set_header Host $http_host; }
      location /build/ { alias ${folder}/; add_header Access-Control-Allow-Origin *; }
      ${shipped('gateway.conf').replace(/location (= )?\//g, 'location $1/sse/')}
      location ~ ^/(stream|whisper|leave)$ {
        proxy_pass http://laravel_echo_sse;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
      }
    }`
}
