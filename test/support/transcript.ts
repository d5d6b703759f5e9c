import { type IncomingMessage, request } from 'node:http'
import { deny } from '../../src/auth/denial.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { signRequest } from '../../src/http/pusher-api/signature.ts'
import { type RunningGateway, startGateway } from './gateway.ts'
import { LineReader } from './line-reader.ts'
import { LOCAL_APP } from './publisher.ts'
import { ScriptedDecisions } from './scripted-decisions.ts'
import { Template } from './template.ts'

/**
 * Plays a file of test/wire against a gateway of its own. docs/protocol.md explains the marks; an answer whose end the
 * transcript does not tell is a stream that is still open, and of which nothing was left out.
 */
export async function playTranscript(text: string): Promise<void> {
  const gateway = await startGateway({ echoServerClients: [{ appId: 'c2b546dd', key: '799dbc41', mayPublish: true }] })
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
const END = '= end of the answer'
const LEAVES = '= the page leaves'

/** What one request was answered. */
type Answer = { readonly response: IncomingMessage; readonly body: LineReader }

/** A page: its stream, and on top what it asks meanwhile. Lines are about the topmost that has not ended. */
type Page = { readonly open: Answer[] }

class Player {
  readonly #gateway: RunningGateway
  readonly #laravel = new ScriptedDecisions()
  readonly #values: Template
  readonly #pages = new Map<string, Page>()
  #page: Page

  constructor(gateway: RunningGateway) {
    this.#gateway = gateway
    gateway.authorizer.decides(this.#laravel.judge)
    const epoch = gateway.gateway.services.history.head?.position.epoch
    this.#values = new Template({ epoch: String(epoch) })
    this.#page = this.#pageNamed('')
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
    await this.#leaveNothingOut()
  }

  // The goodbye is the next thing that every open stream says.
  async #leaveNothingOut(): Promise<void> {
    const open = [...this.#pages.values()].filter((page) => page.open.length > 0)
    if (open.length > 0) void this.#gateway.stop()
    for (const [index, page] of open.entries()) {
      this.#page = page
      const retry = `{lastRetry${index}}`
      const bye = [`retry: ${retry}`, 'event: bye', `data: {"reason":"drain","retryAfterMs":${retry}}`, '']
      for (const line of [...bye.map((said) => `| ${said}`), END]) await this.#playLine(line)
    }
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
    const line = await this.#answer().body.next()
    if (line === null) throw new Error('The answer has ended.')
    return line
  }

  #checkHead(said: string): void {
    const { httpVersion, statusCode, statusMessage, headers } = this.#answer().response
    if (said === '') return
    const name = said.slice(0, said.indexOf(':'))
    const isStatus = said.startsWith('HTTP/')
    this.#values.match(
      said,
      isStatus ? `HTTP/${httpVersion} ${statusCode} ${statusMessage}` : `${name}: ${headers[name]}`,
    )
  }

  async #checkEnd(line: string): Promise<void> {
    const { response, body } = this.#answer()
    if (line === LEAVES) {
      if (!body.isWaiting) throw new Error('There is more to read.')
      response.destroy()
    } else {
      if (line !== END || (await body.next()) !== null) throw new Error('The answer goes on.')
      if (!response.complete) throw new Error('The answer broke off.')
    }
    this.#page.open.pop()
  }

  #answer(): Answer {
    const answer = this.#page.open.at(-1)
    if (answer === undefined) throw new Error('Nothing was asked, or the answer has ended.')
    return answer
  }

  async #ask(lines: readonly string[]): Promise<void> {
    const blank = lines.indexOf('')
    const head = lines.slice(0, blank === -1 ? lines.length : blank)
    const body = this.#values.fill(blank === -1 ? '' : lines.slice(blank + 1).join('\n'))
    const [method = '', target = ''] = (head[0] ?? '').split(' ')
    this.#values.set('signature', sign(method, target, body))
    this.#values.set('bodyLength', String(Buffer.byteLength(body)))
    const headers = head.slice(1).map((line) => this.#values.fill(line).split(': '))
    const outgoing = request(`${this.#gateway.url}${this.#values.fill(target)}`, {
      method,
      headers: headers.flat(),
      setHost: false,
      agent: false,
    })
    outgoing.end(body)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on('response', resolve).on('error', reject)
    })
    this.#page.open.push({ response, body: new LineReader(response) })
  }

  #pageNamed(name: string): Page {
    const page = this.#pages.get(name) ?? { open: [] }
    this.#pages.set(name, page)
    return page
  }

  async #happen([verb, channel = '', word, ...words]: readonly string[]): Promise<void> {
    if (verb === 'publish') {
      const payload = this.#values.fill([word, ...words].join(' '))
      await this.#gateway.gateway.services.broker.publish([channel], payload)
    } else if (verb === 'page') {
      this.#page = this.#pageNamed(channel)
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

function sign(method: string, target: string, body: string): string {
  const [path = '', query = ''] = target.replace(/&?\{signature\}/, '').split('?')
  const parameters = Object.fromEntries(new URLSearchParams(query))
  const signed = signRequest({ method, path, parameters, body, app: LOCAL_APP, now: Date.now() })
  for (const name of Object.keys(parameters)) signed.delete(name)
  return signed.toString()
}
