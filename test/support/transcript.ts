import { type IncomingMessage, request } from 'node:http'
import { deny } from '../../src/auth/denial.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { signRequest } from '../../src/http/pusher-api/signature.ts'
import { type RunningGateway, startGateway } from './gateway.ts'
import { LineReader } from './line-reader.ts'
import { ScriptedDecisions } from './scripted-decisions.ts'
import { Template } from './template.ts'

/**
 * Plays a file of test/wire against a gateway of its own. docs/protocol.md explains the marks; a transcript that does
 * not say how its last answer ends is a stream that is still open, and of which nothing was left out.
 */
export async function playTranscript(text: string): Promise<void> {
  const gateway = await startGateway()
  try {
    await new Player(gateway).play(text)
  } finally {
    await gateway.stop()
  }
}

const DENIALS: Readonly<Record<string, ErrorCode>> = {
  401: 'unauthenticated',
  403: 'forbidden',
  419: 'session_expired',
  503: 'authorizer_unavailable',
}
const BYE = ['| retry: {lastRetry}', '| event: bye', '| data: {"reason":"drain","retryAfterMs":{lastRetry}}', '|']
const END = '= end of the answer'
const LEAVES = '= the page leaves'

class Player {
  readonly #gateway: RunningGateway
  readonly #laravel = new ScriptedDecisions()
  readonly #values: Template
  #response: IncomingMessage | null = null
  #body: LineReader | null = null

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway
    gateway.authorizer.decides(this.#laravel.judge)
    const epoch = gateway.gateway.services.history.head?.position.epoch
    this.#values = new Template({ epoch: String(epoch) })
  }

  async play(text: string): Promise<void> {
    const lines = text.trimEnd().split('\n')
    const asked: string[] = []
    for (const [index, line] of lines.entries()) {
      try {
        if (line.startsWith('>')) asked.push(line.slice(2))
        if (asked.length > 0 && !lines[index + 1]?.startsWith('>')) await this.#ask(asked.splice(0))
        else if (!line.startsWith('>')) await this.#playLine(line)
      } catch (error) {
        throw new Error(`Line ${index + 1}: ${line}\n${(error as Error).message}`)
      }
    }
    if (lines.at(-1) !== END) await this.#leaveNothingOut()
  }

  async #leaveNothingOut(): Promise<void> {
    void this.#gateway.stop()
    for (const line of [...BYE, END]) await this.#playLine(line)
  }

  async #playLine(line: string): Promise<void> {
    const said = line.slice(2)
    switch (line[0]) {
      case '<':
        return this.#checkHead(said)
      case '|':
        this.#values.match(said, await this.#nextLine())
        return
      case '*':
        return this.#happen(said.split(' '))
      case '=':
        return this.#checkEnd(line)
      default:
        throw new Error('A line begins with one of > < | * =')
    }
  }

  async #nextLine(): Promise<string> {
    const line = await this.#body?.next()
    if (line === null || line === undefined) throw new Error('The answer has ended.')
    return line
  }

  #checkHead(said: string): void {
    const { httpVersion, statusCode, statusMessage, headers } = this.#response as IncomingMessage
    if (said === '') return
    const name = said.slice(0, said.indexOf(':'))
    const isStatus = said.startsWith('HTTP/')
    this.#values.match(
      said,
      isStatus ? `HTTP/${httpVersion} ${statusCode} ${statusMessage}` : `${name}: ${headers[name]}`,
    )
  }

  async #checkEnd(line: string): Promise<void> {
    if (line === LEAVES) {
      if (this.#body?.isWaiting !== true) throw new Error('There is more to read.')
      this.#response?.destroy()
    } else {
      if (line !== END || (await this.#body?.next()) !== null) throw new Error('The answer goes on.')
      if (this.#response?.complete !== true) throw new Error('The answer broke off.')
    }
  }

  async #ask(lines: readonly string[]): Promise<void> {
    const blank = lines.indexOf('')
    const head = lines.slice(0, blank === -1 ? lines.length : blank)
    const body = blank === -1 ? '' : lines.slice(blank + 1).join('\n')
    const [method = '', target = ''] = (head[0] ?? '').split(' ')
    this.#values.set('signature', this.#sign(method, target, body))
    const headers = head.slice(1).map((line) => this.#values.fill(line).split(': '))
    const outgoing = request(`${this.#gateway.url}${this.#values.fill(target)}`, {
      method,
      headers: headers.flat(),
      setHost: false,
      agent: false,
    })
    outgoing.end(this.#values.fill(body))
    this.#response = await new Promise((resolve, reject) => outgoing.on('response', resolve).on('error', reject))
    this.#body = new LineReader(this.#response as IncomingMessage)
  }

  #sign(method: string, target: string, body: string): string {
    const app = { id: 'local', key: 'local', secret: 'local' }
    const path = target.replace(/\?.*/, '')
    return signRequest({ method, path, body: this.#values.fill(body), app, now: Date.now() }).toString()
  }

  async #happen([verb, channel = '', word, ...words]: readonly string[]): Promise<void> {
    if (verb === 'publish') {
      const payload = this.#values.fill([word, ...words].join(' '))
      await this.#gateway.gateway.services.broker.publish([channel], payload)
    } else if (verb === 'laravel' && word === 'grants') {
      const [id, info] = words
      const member = id === undefined ? {} : { member: { id, info: JSON.parse(info ?? 'null') } }
      this.#laravel.decide(channel, { allowed: true, ...member })
    } else if (verb === 'laravel' && word === 'denies') {
      this.#laravel.decide(channel, deny(DENIALS[words[0] ?? ''] ?? 'internal'))
    } else if (verb === 'drain') {
      this.#gateway.gateway.services.admission.drain()
    } else if (verb === 'stop') {
      void this.#gateway.stop()
    } else {
      throw new Error('Nothing of that name can happen.')
    }
  }
}
