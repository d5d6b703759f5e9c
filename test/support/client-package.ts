import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const CLIENT = join(ROOT, 'client')

/** A project somewhere else that uses the browser package. */
export type Consumer = {
  readonly folder: string
  /** Where the package is unpacked. */
  readonly client: string
  /** What the tarball holds, package.json included. */
  readonly files: readonly string[]
  /** Writes a source of this project, and says where. */
  write(name: string, content: string): string
  remove(): void
}

/**
 * Packs the browser package and unpacks it as npm would. `packages` are those this project has besides.
 * What is packed is the last build: `npm test` makes one for all tests.
 */
export function consumerOfClient(packages: readonly string[] = []): Consumer {
  if (!existsSync(join(CLIENT, 'dist'))) throw new Error('The client is not built; run `npm run build:client`.')
  const folder = mkdtempSync(join(tmpdir(), 'consumer-'))
  const client = join(folder, 'node_modules/laravel-echo-sse')
  mkdirSync(client, { recursive: true })

  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [tarball] = JSON.parse(execFileSync('npm', pack, { cwd: CLIENT, encoding: 'utf8', stdio: 'pipe' }))
  execFileSync('tar', ['-xzf', join(folder, tarball.filename), '-C', client, '--strip-components=1'])
  for (const name of packages) put(name, folder)

  return {
    folder,
    client,
    files: tarball.files.map(({ path }: { path: string }) => path),
    write: (name, content) => {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, content)
      return path
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

function put(name: string, folder: string): void {
  const source = join(ROOT, 'node_modules', name)
  const target = join(folder, 'node_modules', name)
  mkdirSync(dirname(target), { recursive: true })
  // The hooks look for pusher-js where they are, and have to find what this project has in its place.
  if (name.startsWith('@laravel/')) cpSync(source, target, { recursive: true })
  else symlinkSync(source, target)
}
