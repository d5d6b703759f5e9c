import type { Logger } from 'pino'
import { looksLikeBroadcast, parseBroadcast } from '../channels/broadcast.ts'
import { commonPrefix, guessPrefix, type PrefixHints } from './prefix-guess.ts'

/** Hears everything on Redis until the returned function is called. */
export type HearAll = (onMessage: (name: string, payload: Buffer) => void) => () => void

export type PrefixWatchOptions = PrefixHints & {
  readonly hearAll: HearAll
  readonly logger: Logger
  /** Counted: broadcasts that the gateway passes over because of their prefix. */
  readonly onOtherPrefix: () => void
}

/** Whichever comes first ends the watch; listening to all of a busy Redis is not free. */
const MAX_MS = 10 * 60_000
const MAX_MESSAGES = 10_000
/** Names that do not tell their prefix are compared with those of the next seconds. */
const COMPARE_AFTER_MS = 5000
const MAX_NAMES = 100
/** A longer name is nobody's channel with a prefix, and would fill the log. */
const MAX_NAME_LENGTH = 300

/** Looks for Laravel's broadcasts beside the prefix, until the first one under it. */
export class PrefixWatch {
  readonly #options: PrefixWatchOptions
  readonly #names = new Set<string>()
  #stopHearing: (() => void) | null = null
  #timers: NodeJS.Timeout[] = []
  #messages = 0
  #hasTold = false

  constructor(options: PrefixWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopHearing = this.#options.hearAll((name, payload) => this.#heard(name, payload))
    this.#after(MAX_MS, () => this.#giveUp())
  }

  /** May be called twice. */
  stop(): void {
    this.#stopHearing?.()
    this.#stopHearing = null
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #heard(name: string, payload: Buffer): void {
    if (this.#stopHearing === null) return
    this.#messages += 1
    if (this.#messages > MAX_MESSAGES) this.#giveUp()
    else this.#look(name, payload)
  }

  #look(name: string, payload: Buffer): void {
    if (name.length > MAX_NAME_LENGTH || !looksLikeBroadcast(payload) || parseBroadcast(payload) === null) return
    const { configured } = this.#options
    const prefix = guessPrefix(name, this.#options)
    if (prefix === configured) this.stop()
    else this.#passedOver(name, prefix)
  }

  #passedOver(name: string, prefix: string | null): void {
    const { configured, onOtherPrefix } = this.#options
    if (!name.startsWith(configured)) onOtherPrefix()
    if (prefix !== null) this.#tell(sentenceFor(prefix, configured))
    // Without a prefix every public name is a good one.
    else if (configured !== '') this.#compareLater(name)
  }

  #compareLater(name: string): void {
    if (this.#names.size === 0) this.#after(COMPARE_AFTER_MS, () => this.#compare())
    if (this.#names.size < MAX_NAMES) this.#names.add(name)
  }

  #compare(): void {
    if (this.#names.size > 0) this.#tell(sentenceForNames(this.#names, this.#options.configured))
  }

  #giveUp(): void {
    this.#compare()
    this.stop()
  }

  #tell(sentence: string): void {
    if (this.#hasTold) return
    this.#hasTold = true
    this.#options.logger.warn(sentence)
  }

  #after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms).unref())
  }
}

function sentenceFor(prefix: string, configured: string): string {
  if (configured === '') {
    return `Broadcasts arrive on Redis under the prefix ${shown(prefix)}, but --redis-prefix is empty: set ${flagFor(prefix)} or REDIS_PREFIX.`
  }
  const where = prefix === '' ? 'without a prefix' : `under the prefix ${shown(prefix)}`
  const variable = prefix === '' ? '' : ' or REDIS_PREFIX'
  return `Broadcasts arrive on Redis ${where}, but none yet under ${shown(configured)}: if they are this application's, set ${flagFor(prefix)}${variable}.`
}

function sentenceForNames(names: ReadonlySet<string>, configured: string): string {
  const prefix = commonPrefix(names)
  if (prefix !== null) return sentenceFor(prefix, configured)
  const [example = ''] = names
  return `Broadcasts arrive on Redis, on ${shown(example)} for one, but none yet under ${shown(configured)}: if they are this application's, set --redis-prefix to what precedes the name Laravel gives the channel.`
}

// Quoted, because names on Redis are anybody's.
function shown(text: string): string {
  return JSON.stringify(text)
}

/** The flag as one types it. */
function flagFor(prefix: string): string {
  const value = /^[\w:.-]+$/.test(prefix) ? prefix : `'${prefix.replaceAll("'", `'\\''`)}'`
  return `--redis-prefix${/^[\w:.]/.test(value) ? ' ' : '='}${value}`
}
