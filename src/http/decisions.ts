import type { AuthorizerSession, Decision, Denial, Grant } from '../auth/authorizer.ts'
import { deny } from '../auth/denial.ts'
import type { Identity } from '../auth/identity.ts'
import type { Visit } from '../auth/socket.ts'
import type { Channel } from '../channels/channel.ts'
import { mayBeGrantedLater, type Subscriber, type Told } from '../hub/subscriber.ts'
import type { HttpCaller } from './caller.ts'
import type { Poll } from './poll.ts'
import type { Services } from './services.ts'

export type Undecided = {
  readonly caller: HttpCaller
  readonly identity: Identity
  readonly channels: readonly Channel[]
  readonly poll: Poll | null
}

/** When a page that has left may come back, should it think otherwise. */
const LEFT_RETRY_MS = 1000

/**
 * The guarded channels of one stream: decided one by one, by what the page was granted before or by Laravel, and
 * looked at again while the stream lives.
 */
export class Decisions {
  readonly #services: Services
  readonly #undecided: Undecided
  readonly #guarded: readonly Channel[]
  readonly #visit: Visit | null
  #session: AuthorizerSession | null = null
  #recheck: NodeJS.Timeout | null = null
  #subscriber: Subscriber | null = null

  constructor(services: Services, undecided: Undecided) {
    this.#services = services
    this.#undecided = undecided
    this.#guarded = undecided.channels.filter(({ kind }) => kind !== 'public')
    const names = new Set(this.#guarded.map(({ name }) => name))
    this.#visit = services.grants.visit(undecided.identity.socketId, names, {
      onRevoked: (channel) => this.#revoke(channel, deny('revoked')),
      onLeft: () => this.#subscriber?.end('left', LEFT_RETRY_MS),
    })
  }

  begin(subscriber: Subscriber): void {
    this.#subscriber = subscriber
    if (this.#guarded.length === 0) return
    const { identity } = this.#undecided
    if (!identity.proven) this.#decideAll(NOTHING)
    else this.#report(this.#services.grants.continuing(identity.socketId).then((known) => this.#decideAll(known)))
    this.#recheckLater()
  }

  /** The stream is over; the page counts as present for `keepMs` more. */
  ended(keepMs: number): void {
    this.#session?.close()
    if (this.#undecided.poll !== null) this.#rememberLists()
    if (this.#recheck !== null) clearTimeout(this.#recheck)
    this.#visit?.ended(keepMs)
  }

  // So that the next poll waits unless something happens in between.
  #rememberLists(): void {
    for (const { name, kind } of this.#guarded) {
      const roster = this.#services.presence.roster(name)
      if (kind === 'presence' && roster !== undefined && this.#subscriber?.isGranted(name)) {
        this.#visit?.sees(name, roster.state)
      }
    }
  }

  // All at once; each is told as soon as it is decided.
  #decideAll(known: ReadonlyMap<string, Grant>): void {
    for (const channel of this.#guarded) {
      const grant = known.get(channel.name)
      if (grant === undefined) this.#report(this.#ask(channel).then((decision) => this.#decide(channel, decision)))
      else this.#report(this.#decide(channel, grant))
    }
  }

  #ask(channel: Channel): Promise<Decision> {
    const { caller, identity } = this.#undecided
    if (this.#subscriber?.isEnded !== false) return Promise.resolve(deny('authorizer_unavailable'))
    this.#session ??= this.#services.authorizer.open(caller, identity.socketId)
    return this.#session.authorize(channel)
  }

  async #decide(channel: Channel, decision: Decision): Promise<void> {
    const subscriber = this.#subscriber
    if (subscriber === null || subscriber.isEnded) return
    if (decision.allowed) await this.#grant(subscriber, channel, decision)
    else this.#deny(subscriber, channel, decision)
    this.#undecided.poll?.decided()
  }

  async #grant(subscriber: Subscriber, { name, kind }: Channel, grant: Grant): Promise<void> {
    const { member } = grant
    if (kind !== 'presence' || member === undefined) {
      this.#visit?.granted(name, grant)
      subscriber.grant(name, grant)
      return
    }
    const { config, presence } = this.#services
    if (Buffer.byteLength(JSON.stringify(member.info) ?? '') > config.maxMemberBytes) {
      this.#deny(subscriber, { name, kind }, deny('forbidden', { message: TOO_MUCH }))
      return
    }
    this.#visit?.granted(name, grant)
    const roster = await presence.enter(name, subscriber.socketId, member)
    const told: Told = { list: roster.list(member.id), isNews: this.#visit?.sees(name, roster.state) === true }
    subscriber.grant(name, grant, told)
  }

  #deny(subscriber: Subscriber, { name }: Channel, denial: Denial): void {
    this.#visit?.denied(name, mayBeGrantedLater(denial) ? this.#services.config.lingerMs : 0)
    denyChannel(this.#services, subscriber, name, denial)
  }

  #revoke(channel: string, denial: Denial): void {
    const { metrics, lifeLog } = this.#services
    const subscriber = this.#subscriber
    if (subscriber === null || subscriber.isEnded) return
    const { code, status } = denial
    metrics.revoked.inc({ code })
    lifeLog.write({ socketId: subscriber.socketId, channel, code, status }, 'channel revoked')
    subscriber.revoke(channel, denial)
  }

  // Spread: streams that came together are not asked about together.
  #recheckLater(): void {
    const { recheckS } = this.#services.config
    if (recheckS === 0) return
    const delayMs = recheckS * 1000 * (0.9 + Math.random() * 0.2)
    this.#recheck = setTimeout(() => {
      this.#report(Promise.all(this.#guarded.map((channel) => this.#askAgain(channel))))
      this.#recheckLater()
    }, delayMs).unref()
  }

  async #askAgain(channel: Channel): Promise<void> {
    const { name } = channel
    const before = this.#visit?.grant(name)
    if (this.#subscriber?.isGranted(name) !== true || before === undefined) return
    const decision = await this.#ask(channel)
    if (this.#subscriber.isEnded) return
    // A Laravel that is away for the moment has not said no.
    if (!decision.allowed && decision.retry) return
    const isSame = decision.allowed && decision.member?.id === before.member?.id
    if (isSame) return
    this.#visit?.denied(name, 0)
    this.#revoke(name, decision.allowed ? deny('revoked', { message: SOMEBODY_ELSE }) : decision)
  }

  #report(work: Promise<unknown>): void {
    const { logger } = this.#services
    work.catch((error: unknown) => {
      const { socketId } = this.#undecided.identity
      logger.error({ err: error, socketId }, 'a decision was not told')
    })
  }
}

export function denyChannel(
  { metrics, lifeLog }: Services,
  subscriber: Subscriber,
  name: string,
  denial: Denial,
): void {
  if (subscriber.isEnded) return
  const { code, status, cause = code } = denial
  metrics.denied.inc({ code })
  lifeLog.write({ socketId: subscriber.socketId, channel: name.slice(0, 200), code, status, cause }, 'channel denied')
  subscriber.deny(name, denial)
}

const NOTHING: ReadonlyMap<string, Grant> = new Map()

const TOO_MUCH =
  'Laravel says more about this member than --max-member-bytes allows; return less from the channel callback, such as id and name.'

const SOMEBODY_ELSE = 'Laravel takes this page for another user now; reload it.'
