/** What `start` tells the person in front of it. */

import type { Config } from '../config/config.ts'
import { flagOf, hidePasswords, type Option } from '../config/option.ts'
import { OPTIONS, type OptionName } from '../config/options.ts'

/** Whatever is not a default, with its source; secrets are named and not shown. */
export function usedSettings(config: Config): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const [name, option] of optionEntries()) {
    const { layer, label } = config.sources[name]
    if (layer !== 'default') settings[name] = `${showValue(option, config[name])} (${label.replaceAll('`', '')})`
  }
  return settings
}

/** Three lines to copy: see it, hear it, send something. */
export function whereToLook(config: Config, urls: readonly string[], program: string): string {
  const [url = 'http://localhost'] = urls
  const isSocket = config.socket !== null
  const stream = `'${isSocket ? 'http://localhost' : url}/stream?channels=orders'`
  const lines = [
    `Laravel Echo SSE listens on ${urls.join(', ')}`,
    '',
    ...(config.tryPage && !isSocket ? [`  Look:     ${url}/`] : []),
    `  Listen:   curl -N ${isSocket ? `--unix-socket ${quote(config.socket ?? '')} ` : ''}${stream}`,
    ...publishLine(config, url, program),
  ]
  return `${lines.join('\n')}\n\n`
}

function publishLine(config: Config, url: string, program: string): string[] {
  const canPublishByHttp = config.appSecret !== null && config.socket === null
  if (config.broker === 'memory' && !canPublishByHttp) return []
  const target = config.broker === 'memory' ? [`--http ${url}`] : []
  return [
    `  Publish:  ${[program, 'publish orders OrderShipped \'{"id":1}\'', ...target, ...sameFlags(config)].join(' ')}`,
  ]
}

/** The flags that say where to publish, as this process got them; what came from elsewhere is found there again. */
function sameFlags(config: Config): string[] {
  return optionEntries()
    .filter(([name]) => /^(config|laravel$|redis|app)/.test(name) && config.sources[name].layer === 'flag')
    .map(([name, option]) => {
      const flag = flagOf(name, option)
      return option.kind.isSwitch ? flag : `${flag} ${quote(showValue(option, config[name]))}`
    })
}

function optionEntries(): [OptionName, Option][] {
  return Object.entries(OPTIONS) as [OptionName, Option][]
}

function showValue({ secret }: Option, value: unknown): string {
  if (secret === true) return '***'
  return secret === 'url' ? hidePasswords(String(value)) : String(value)
}

/** For a POSIX shell. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
