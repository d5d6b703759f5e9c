import type { Given } from '../config/arguments.ts'
import { type Config, parseGiven, resolveConfig } from '../config/config.ts'
import { flagOf, hidePasswords, type Option } from '../config/option.ts'
import { OPTIONS, type OptionName } from '../config/options.ts'
import type { Io } from './command.ts'

/** There is nobody to answer any more. */
export class NobodyAnswers extends Error {}

export type QuestionsOptions = {
  readonly io: Io
  /** What was said on the command line, and is not asked. */
  readonly flags: ReadonlyMap<string, Given>
  /** Every answer is the default. */
  readonly isSilent: boolean
}

/** Asks a person, and knows what the answers make of the configuration. */
export class Questions {
  readonly #io: Io
  readonly #flags: QuestionsOptions['flags']
  readonly #answers = new Map<string, Given>()
  readonly isSilent: boolean

  constructor({ io, flags, isSilent }: QuestionsOptions) {
    this.#io = io
    this.#flags = flags
    this.isSilent = isSilent
  }

  say(sentence: string): void {
    this.#io.out(`${sentence}\n`)
  }

  isOpen(name: OptionName): boolean {
    return !this.#flags.has(name)
  }

  set(name: OptionName, text: string): void {
    this.#answers.set(name, { texts: [text], label: `\`${flagOf(name, OPTIONS[name])}\`` })
  }

  /** The configuration as it is so far, or all that is wrong with it. */
  settle(): Config | readonly string[] {
    const flags = new Map([...this.#flags, ...this.#answers])
    const result = resolveConfig({ flags, faults: [], env: {}, cwd: this.#io.cwd })
    return 'config' in result ? result.config : result.faults
  }

  /** A line; the default when it is empty. */
  async line(question: string, byDefault: string, shown = byDefault): Promise<string> {
    if (this.isSilent) return byDefault
    const answer = await this.#io.ask(`${question}${shown === '' ? '' : ` [${shown}]`} `)
    if (answer === null) throw new NobodyAnswers()
    return answer === '' ? byDefault : answer
  }

  async yes(question: string, byDefault: boolean): Promise<boolean> {
    return /^y/i.test(await this.line(`${question} (y/n)`, byDefault ? 'y' : 'n'))
  }

  /** Asks for an option, until the answer is a value of it. What is `found` elsewhere, and confirmed, stays there. */
  async option(name: OptionName, question: string, found: Config, proposal = String(found[name])): Promise<void> {
    if (!this.isOpen(name)) return
    const before = this.#answers.get(name)?.texts[0] ?? proposal
    for (;;) {
      const text = await this.line(question, before, hidePasswords(before))
      const faults: string[] = []
      parseGiven(OPTIONS[name] as Option, { texts: [text], label: 'This' }, faults)
      for (const fault of faults) this.say(fault)
      if (faults.length > 0 && !this.isSilent) continue
      const isElsewhere = text === String(found[name]) && found.sources[name].layer !== 'default'
      if (isElsewhere) this.#answers.delete(name)
      else this.set(name, text)
      return
    }
  }
}
