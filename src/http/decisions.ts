import type { AuthorizerSession, Decision, Denial, Grant } from '../auth/authorizer.ts'
import { deny } from '../auth/denial.ts'
import type { Identity } from '../auth/identity.ts'
import type { KnownGrant } from '../auth/socket.ts'
import type { Visit } from '../auth/visit.ts'
import type { Channel } from '../channels/channel.ts'
import { mayBeGrantedLater, type Subscriber } from '../hub/subscriber.ts'
import { infoBytes } from '../presence/member.ts'
import type { HttpCaller } from './caller.ts'
import type { Poll } from './poll.ts'
import { isRecalled, recall } from './recall.ts'
import type { Services } from './services.ts'

export type Undecided = {
  readonly caller: HttpCaller
  readonly identity: Identity
  readonly channels: readonly Channel[]
  readonly poll: Poll | null
}

/** When a page that has left or was sent away may come back, should it think otherwise. */
const OVER_RETRY_MS = 1000

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
  /** Questions of the round that is under way while the stream lives. */
  #recheck: AuthorizerSession | null = null
  #untilRecheck: NodeJS.Timeout | null = null
  #subscriber: Subscriber | null = null

  constructor(services: Services, undecided: Undecided) {
    this.#services = services
    this.#undecided = undecided
    this.#guarded = undecided.channels.filter(({ kind }) => kind !== 'public')
    const names = new Set(this.#guarded.map(({ name }) => name))
    this.#visit = services.grants.visit(undecided.identity.socketId, names, {
      onRevoked: (channel) => this.#revoke(channel, deny('revoked')),
      onOver: (reason) => this.#subscriber?.end(reason, OVER_RETRY_MS),
    })
  }

  begin(subscriber: Subscriber): void {
    this.#subscriber = subscriber
    if (subscriber.isEnded || this.#guarded.length === 0) return
    const { identity, poll } = this.#undecided
    if (!identity.proven) this.#decideAll(NOTHING)
    else this.#report(this.#services.grants.continuing(identity.socketId).then((known) => this.#decideAll(known)))
    // A poll does not live long enough; the next one asks what is due.
    if (poll === null) this.#recheckLater()
  }

  /** The stream is over; the page counts as present for `keepMs` more. */
  ended(keepMs: number): void {
    this.#session?.close()
    this.#recheck?.close()
    if (this.#undecided.poll !== null) this.#rememberLists()
    if (this.#untilRecheck !== null) clearTimeout(this.#untilRecheck)
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
  #decideAll(known: ReadonlyMap<string, KnownGrant>): void {
    for (const channel of this.#guarded) this.#report(this.#decide(channel, known.get(channel.name)))
  }

  async #decide(channel: Channel, known: KnownGrant | undefined): Promise<void> {
    let decision: Decision = known?.isDue === false ? known.grant : await this.#ask(channel)
    // A Laravel that is away for the moment has not said no.
    if (known !== undefined && !decision.allowed && decision.retry) decision = known.grant
    // What was revoked meanwhile it may not have known yet.
    while (!(await this.#tell(channel, decision))) decision = await this.#ask(channel)
    this.#undecided.poll?.decided()
  }

  #ask(channel: Channel): Promise<Decision> {
    const { caller, identity } = this.#undecided
    if (this.#subscriber?.isEnded !== false) return Promise.resolve(deny('authorizer_unavailable'))
    this.#visit?.asks(channel.name)
    this.#session ??= this.#services.authorizer.open(caller, identity.socketId)
    return this.#session.authorize(channel)
  }

  /** False when a revocation has overtaken the decision. */
  async #tell(channel: Channel, decision: Decision): Promise<boolean> {
    const subscriber = this.#subscriber
    if (subscriber === null || subscriber.isEnded) return true
    if (decision.allowed) return this.#grant(subscriber, channel, decision)
    this.#deny(subscriber, channel, decision)
    return true
  }

  async #grant(subscriber: Subscriber, channel: Channel, grant: Grant): Promise<boolean> {
    const { name, kind } = channel
    const { member } = grant
    const { config, presence } = this.#services
    const isMember = kind === 'presence' && member !== undefined
    if (isMember && infoBytes(member.info) > config.maxMemberBytes) {
      this.#deny(subscriber, channel, deny('forbidden', { message: TOO_MUCH }))
      return true
    }
    if (this.#visit?.granted(name, grant) === false) return false
    const wantsLast = isRecalled(subscriber, name)
    if (!isMember && !wantsLast) {
      subscriber.grant(name, grant)
      return true
    }
    const [roster, recalled] = await Promise.all([
      isMember ? presence.enter(name, subscriber.socketId, member) : null,
      wantsLast ? recall(this.#services, name) : {},
    ])
    if (subscriber.isEnded) return true
    if (this.#visit?.grant(name) === undefined) return false
    const listed = roster && member && { list: roster.list(member.id), isNews: this.#visit.sees(name, roster.state) }
    subscriber.grant(name, grant, { ...listed, ...recalled })
    return true
  }

  #deny(subscriber: Subscriber, { name }: Channel, denial: Denial): void {
    this.#visit?.denied(name, mayBeGrantedLater(denial) ? this.#services.config.lingerMs : 0)
    denyChannel(this.#services, subscriber, name, denial)
  }

  // While it is undecided there is nothing to take away yet; the answer is then asked for again.
  #revoke(channel: string, denial: Denial): void {
    const { metrics, lifeLog } = this.#services
    const subscriber = this.#subscriber
    if (subscriber?.isGranted(channel) !== true || subscriber.isEnded) return
    const { code, status } = denial
    metrics.revoked.inc({ code })
    lifeLog.write({ socketId: subscriber.socketId, channel, code, status }, 'channel revoked')
    subscriber.revoke(channel, denial)
  }

  // Spread: streams that came together are not asked about together. And one round after the other: a Laravel that is
  // slow is not asked more than it answers.
  #recheckLater(): void {
    const { recheckS } = this.#services.config
    if (recheckS === 0 || this.#subscriber?.isEnded !== false) return
    const delayMs = recheckS * 1000 * (0.9 + Math.random() * 0.2)
    this.#untilRecheck = setTimeout(() => {
      this.#report(this.#recheckAll().finally(() => this.#recheckLater()))
    }, delayMs).unref()
  }

  // A session of its own: one that lives for hours would remember every question.
  async #recheckAll(): Promise<void> {
    const { caller, identity } = this.#undecided
    const granted = this.#guarded.filter(({ name }) => this.#subscriber?.isGranted(name))
    if (granted.length === 0) return
    const session = this.#services.authorizer.open(caller, identity.socketId)
    this.#recheck = session
    await Promise.all(granted.map((channel) => this.#askAgain(session, channel)))
    session.close()
    this.#recheck = null
  }

  async #askAgain(session: AuthorizerSession, channel: Channel): Promise<void> {
    const { name } = channel
    const decision = await session.authorize(channel)
    const before = this.#visit?.grant(name)
    if (before === undefined || this.#subscriber?.isEnded !== false) return
    // A Laravel that is away for the moment has not said no.
    if (!decision.allowed && decision.retry) return
    if (decision.allowed && decision.member?.id === before.member?.id) {
      this.#visit?.confirmed(name)
      return
    }
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

const NOTHING: ReadonlyMap<string, KnownGrant> = new Map()

const TOO_MUCH =
  'Laravel says more about this member than --max-member-bytes allows; return less from the channel callback, such as id and name.'

const SOMEBODY_ELSE = 'Laravel takes this page for another user now; reload it.'
