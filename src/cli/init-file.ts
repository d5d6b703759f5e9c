import { renameSync, writeFileSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { OPTIONS, type OptionName } from '../config/options.ts'

/** Only the owner reads it: it holds passwords. */
const MODE = 0o600

/** Writes what was said and what a former file says; what Laravel's `.env` says is read there at every start. */
export function writeConfig(config: Config, path: string): void {
  const draft = `${path}.${process.pid}.tmp`
  writeFileSync(draft, `${JSON.stringify(whatWasSaid(config), null, 2)}\n`, { mode: MODE, flag: 'wx' })
  // It takes the place of a file that others could read, and of a link, which is not followed.
  renameSync(draft, path)
}

function whatWasSaid(config: Config): Record<string, unknown> {
  const names = (Object.keys(OPTIONS) as OptionName[]).filter(
    (name) => name !== 'config' && ['flag', 'file'].includes(config.sources[name].layer),
  )
  return Object.fromEntries(names.map((name) => [name, config[name]]))
}
