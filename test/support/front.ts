import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNginx } from './nginx.ts'
import { pageFiles } from './page-files.ts'

const SHIPPED = join(import.meta.dirname, '../../nginx')

export type Front = {
  readonly port: number
  readonly url: string
  stop(): Promise<void>
}

export type FrontOptions = {
  /** Where the gateways are. */
  readonly gateways: readonly string[]
  /** One that is asked only while the others do not answer. */
  readonly backup?: string
  /** Changes what stands in the server block. */
  readonly config?: (shipped: string) => string
}

/** nginx as it is shipped, with the site of page-files.ts at `/` and the gateways at `/sse/`. */
export async function startFront({ gateways, backup, config = (shipped) => shipped }: FrontOptions): Promise<Front> {
  const root = mkdtempSync(join(tmpdir(), 'front-'))
  for (const [path, { text }] of Object.entries(pageFiles())) writeFileSync(join(root, path), text)
  const servers = [
    ...gateways.map((url) => `server ${hostOf(url)};`),
    ...(backup ? [`server ${hostOf(backup)} backup;`] : []),
  ]
  const upstream = read('upstream.conf').replace('server 127.0.0.1:6001;', servers.join('\n'))
  const gateway = config(read('gateway.conf').replace(/location (= )?\//g, 'location $1/sse/'))
  const types = 'types { text/html html; text/javascript js; }'
  const nginx = await startNginx({
    config: (port) => `${upstream}\nserver { listen 127.0.0.1:${port}; ${types} root ${root}; ${gateway} }`,
  })
  return {
    port: nginx.port,
    url: nginx.url,
    stop: async () => {
      await nginx.stop()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

function read(name: string): string {
  return readFileSync(join(SHIPPED, name), 'utf8')
}

function hostOf(url: string): string {
  return new URL(url).host
}
