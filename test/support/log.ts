import { type Level, type Logger, pino } from 'pino'

export type LogLine = { readonly level: string; readonly msg: string }

/** A logger whose lines a test reads, and waits for. */
export class Log {
  readonly lines: (LogLine & Record<string, unknown>)[] = []
  readonly logger: Logger
  #waiters: { isWanted: (line: LogLine) => boolean; resolve: (line: LogLine) => void }[] = []

  constructor(level: Level = 'debug') {
    const formatters = { level: (label: string) => ({ level: label }) }
    this.logger = pino({ level, base: null, formatters }, { write: (text: string) => this.#take(JSON.parse(text)) })
  }

  /** What was said at this level, in order. */
  at(level: Level): string[] {
    return this.lines.filter((line) => line.level === level).map(({ msg }) => msg)
  }

  /** Resolves with the first line whose message matches, also one that is there already. */
  async until(message: RegExp): Promise<LogLine> {
    const isWanted = ({ msg }: LogLine) => message.test(msg)
    return this.lines.find(isWanted) ?? new Promise((resolve) => this.#waiters.push({ isWanted, resolve }))
  }

  #take(line: LogLine & Record<string, unknown>): void {
    this.lines.push(line)
    this.#waiters = this.#waiters.filter(({ isWanted, resolve }) => {
      if (isWanted(line)) resolve(line)
      return !isWanted(line)
    })
  }
}
