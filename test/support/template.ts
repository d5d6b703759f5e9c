/**
 * Lines with `{name}` in place of a value: the same name is the same value, from its first use on. A value is one word,
 * and a sentence where the name ends in `message`.
 */
export class Template {
  readonly #values: Map<string, string>

  constructor(values: Readonly<Record<string, string>> = {}) {
    this.#values = new Map(Object.entries(values))
  }

  set(name: string, value: string): void {
    this.#values.set(name, value)
  }

  /** The line with its values. */
  fill(line: string): string {
    return line.replace(PLACEHOLDER, (whole, name: string) => this.#values.get(name) ?? whole)
  }

  /** Compares and keeps the values that are new. Throws when the line is another one. */
  match(template: string, line: string): void {
    const names: string[] = []
    const pattern = template
      .split(PLACEHOLDER)
      .map((part, index) => (index % 2 === 0 ? escapeRegExp(part) : this.#patternOf(part, names)))
      .join('')
    const found = new RegExp(`^${pattern}$`).exec(line)
    if (found === null) throw new Error(`expected ${this.fill(template)}\nbut got  ${line}`)
    names.forEach((name, index) => {
      this.#values.set(name, found[index + 1] as string)
    })
  }

  #patternOf(name: string, names: string[]): string {
    const known = this.#values.get(name)
    if (known !== undefined) return escapeRegExp(known)
    const earlier = names.indexOf(name)
    if (earlier !== -1) return `\\${earlier + 1}`
    names.push(name)
    return /message$/i.test(name) ? '([^"]+)' : '([\\w.-]+)'
  }
}

const PLACEHOLDER = /\{([a-z]\w*)\}/gi

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
