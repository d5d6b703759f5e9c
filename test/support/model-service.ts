import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { laravel } from './history.ts'
import { ModelNode } from './model-node.ts'
import { ModelPage } from './model-page.ts'
import { ModelRecord } from './model-record.ts'
import type { RedisServer } from './redis.ts'

/** Six renewals in this time, four of which may fail. */
const LEASE_S = 1.2
const LINGER_MS = 150
/** The same on a busy machine. */
const LINGER_LIMIT_MS = 300
/** A page that was granted its channels elsewhere within this time was never away. */
const QUICK_MS = 90
/** The same after a crash: nobody takes it off before its node's lease has run out. */
const CRASH_MS = 300
/** A stall that no peer could mistake for a death, and what it may become on a busy machine. */
const STALL_MS = 250
const STALL_LIMIT_MS = 450
/** Later than this, a timer of 10 ms shows a machine that is too busy to be exact. */
const LATE_MS = 40
const DEADLINE_MS = 15_000
const MAX_PAGES = 8

export type ModelServiceOptions = {
  readonly server: RedisServer
  readonly redisPrefix: string
  readonly timeoutMs: number
}

/**
 * Three gateways on one Redis, the pages that listen to them, and what is true: who is on which channel, and how often
 * anybody may have been shown leaving.
 */
export class ModelService {
  readonly #options: ModelServiceOptions
  readonly #redis: Redis
  readonly #record: ModelRecord
  readonly #nodes: (ModelNode | null)[] = [null, null, null]
  #pages: ModelPage[] = []
  readonly #breaches: string[] = []
  /** `channel user` → how often nobody spoke for him any more. */
  readonly #departures = new Map<string, number>()
  /** The same, when all were told last. */
  #settled: ReadonlyMap<string, number> = new Map()
  readonly #stalls = new Set<Promise<void>>()
  readonly #stopping: Promise<void>[] = []
  #wake = () => {}
  #isCalm = true
  #isLate = false
  /** Lists and record may be as they are in the end, and change once more before that. */
  #mayLinger = false
  #fence = 0
  #starts = 0
  readonly #metronome: NodeJS.Timeout

  private constructor(options: ModelServiceOptions) {
    this.#options = options
    this.#redis = new Redis(options.server.url, { protocol: 2, retryStrategy: () => 20 })
    this.#redis.on('error', () => {})
    this.#record = new ModelRecord(this.#redis, options.redisPrefix)
    let beatMs = performance.now()
    this.#metronome = setInterval(() => {
      const nowMs = performance.now()
      if (nowMs - beatMs > LATE_MS) this.#isLate = true
      beatMs = nowMs
    }, 10)
  }

  static async start(options: ModelServiceOptions): Promise<ModelService> {
    const service = new ModelService(options)
    await Promise.all([0, 1, 2].map((index) => service.#startNode(index)))
    return service
  }

  /** A new tab. */
  async open(user: string, where: number, channels: readonly string[]): Promise<void> {
    if (this.#pages.length >= MAX_PAGES) return
    const page = this.#newPage(user)
    this.#pages.push(page)
    await page.moveTo(this.#node(where), channels)
  }

  /** A tab is closed, or its line breaks for good. */
  drop(which: number): void {
    const page = this.#page(which)
    if (page === null) return
    this.#gone(page)
    page.drop()
  }

  /** The tab is closed and says so, to whatever gateway. */
  async leave(which: number, where: number): Promise<void> {
    const page = this.#page(which)
    const node = this.#wellNode(where)
    if (page === null || node === null) return
    this.#gone(page)
    await page.leave(node)
  }

  /** The same user comes again at once, in a page that knows nothing. */
  async reload(which: number, where: number): Promise<void> {
    const page = this.#page(which)
    if (page === null) return
    const heir = this.#newPage(page.user)
    this.#pages[this.#pages.indexOf(page)] = heir
    heir.channels = page.channels
    heir.isEstablished = page.isEstablished
    this.#goesFrom(page)
    page.drop()
    await this.#bring(heir, this.#node(where), QUICK_MS)
  }

  /** The line breaks, and the page goes on elsewhere as who it was. */
  async move(which: number, where: number): Promise<void> {
    const page = this.#page(which)
    if (page === null) return
    this.#goesFrom(page)
    page.drop()
    await this.#bring(page, this.#node(where), QUICK_MS)
  }

  /** Another set of channels: the new stream is there before the old one ends. */
  async change(which: number, where: number, channels: readonly string[]): Promise<void> {
    const page = this.#page(which)
    if (page === null) return
    for (const channel of page.channels) if (!channels.includes(channel)) this.#departUnlessElsewhere(page, channel)
    this.#goesFrom(page)
    page.channels = channels
    await this.#bring(page, this.#node(where), QUICK_MS)
  }

  /** A gateway dies without a word. Its pages go on elsewhere, or are gone as well. */
  async crash(index: number, elsewhere: number | null): Promise<void> {
    const node = this.#nodes[index]
    if (node === undefined || node === null || !this.#canDoWithout(node)) return
    this.#nodes[index] = null
    const dead = node.crash()
    this.#stopping.push(dead)
    await this.#scatter(node, elsewhere, CRASH_MS)
  }

  /** A gateway stops with a goodbye, and starts again; one that has crashed starts. */
  async restart(index: number, elsewhere: number | null): Promise<void> {
    const node = this.#nodes[index]
    if (node === undefined) return
    if (node === null) return this.#startNode(index)
    if (node.state !== 'well' || !this.#canDoWithout(node)) return
    this.#nodes[index] = null
    for (const page of this.#pagesAt(node)) page.expectGoodbye()
    const stopped = node.stop()
    await this.#scatter(node, elsewhere, CRASH_MS)
    await stopped
    await this.#startNode(index)
  }

  /** A gateway is cut off, but not for so long that anybody would take it for dead. */
  stall(index: number): void {
    const node = this.#nodes[index]
    if (node?.state !== 'well') return
    node.state = 'stalled'
    node.freeze()
    this.#unsettle(node)
    const sinceMs = performance.now()
    const stall = sleep(STALL_MS).then(() => {
      this.#stalls.delete(stall)
      if (node.state !== 'stalled') return
      node.thaw()
      node.state = 'well'
      if (performance.now() - sinceMs > STALL_LIMIT_MS) this.#departAllOf(node)
    })
    this.#stalls.add(stall)
  }

  /** A gateway is cut off until somebody thaws it; its peers take it for dead. */
  freeze(index: number): void {
    const node = this.#nodes[index]
    if (node?.state !== 'well' || !this.#canDoWithout(node)) return
    node.state = 'lost'
    node.freeze()
    this.#departAllOf(node)
    this.#unsettle(node)
  }

  thaw(index: number): void {
    const node = this.#nodes[index]
    if (node?.state !== 'lost') return
    // Whoever has gone meanwhile may come into sight once more before it is told.
    this.#departAllOf(node)
    for (const { channel, user, atMs } of node.leavers.splice(0)) {
      if (performance.now() - atMs < LINGER_LIMIT_MS) this.#depart(channel, user)
    }
    node.thaw()
    node.state = 'well'
    this.#isCalm = false
  }

  /** The connections of a gateway break and come back. */
  blink(index: number): void {
    const node = this.#nodes[index]
    if (node?.state !== 'well') return
    this.#unsettle(node)
    node.isShaken = true
    // Who goes on here is still listed elsewhere, and may be seen to leave before it is said.
    this.#mayLinger = true
    node.blink()
  }

  /** Redis forgets everything. */
  async flush(): Promise<void> {
    for (const node of this.#alive()) {
      this.#unsettle(node)
      node.excused += 1
    }
    await this.#redis.flushall()
  }

  /** Laravel withdraws everything that a user may hear. */
  async revoke(user: string): Promise<void> {
    const pages = this.#pages.filter((page) => page.user === user)
    // What was missed in a hole stays unheard, and what is not granted yet is granted after it.
    if (!this.#isCalm || pages.some(({ isEstablished }) => !isEstablished)) return
    await Promise.all(this.#alive().map((node) => node.untilReady(Date.now() + DEADLINE_MS)))
    for (const page of pages) {
      for (const channel of page.channels) this.#depart(channel, user)
      page.channels = []
    }
    await this.#redis.publish(`${this.#options.redisPrefix}sse:revoke`, JSON.stringify({ user }))
    // A gateway that is cut off before it has heard of it does not hear of it later.
    await this.#until(() => pages.every(({ view }) => view?.channels.length === 0), Date.now() + DEADLINE_MS)
  }

  /** Resolves when every page that can know has been told what is true, and nothing else. */
  async settle(): Promise<void> {
    await Promise.all(this.#stalls)
    if (this.#mayLinger) await sleep(LINGER_LIMIT_MS)
    this.#mayLinger = false
    const deadlineMs = Date.now() + DEADLINE_MS
    await this.#until(() => this.#untrue().length === 0, deadlineMs)
    await this.#record.untilTrue(() => this.#expectedRecord(), deadlineMs)
    await this.#passFence(deadlineMs)
    const untrue = this.#untrue()
    if (untrue.length > 0) throw this.#failure('It was true, and is not any more', untrue)
    this.#excuse()
    this.#countDepartures()
    this.#settled = new Map(this.#departures)
    for (const node of this.#wellNodes()) {
      node.departures = this.#settled
      node.excused = node.forgotten
      node.isShaken = false
      for (const page of this.#pagesAt(node)) page.isEstablished = true
    }
    this.#isCalm = this.#alive().every(({ state }) => state === 'well')
    this.#isLate = false
  }

  /** Everybody is well again, and then everybody leaves. */
  async end(): Promise<void> {
    for (const index of [0, 1, 2]) this.thaw(index)
    await this.settle()
    while (this.#pages.length > 0) this.drop(0)
    await this.settle()
  }

  async stop(): Promise<void> {
    clearInterval(this.#metronome)
    for (const page of this.#pages) page.drop()
    await Promise.all([...this.#stopping, ...this.#alive().map((node) => node.stop())])
    this.#redis.disconnect()
  }

  async #startNode(index: number): Promise<void> {
    const { server, redisPrefix, timeoutMs } = this.#options
    this.#starts += 1
    this.#nodes[index] = await ModelNode.start(`node ${index}, start ${this.#starts}`, server.port, {
      redisPrefix,
      secret: 'a secret that no flush can take away',
      leaseS: LEASE_S,
      lingerMs: LINGER_MS,
      markerIntervalMs: 150,
      readyTimeoutMs: timeoutMs,
    })
    const node = this.#nodes[index] as ModelNode
    node.departures = this.#settled
  }

  #alive(): ModelNode[] {
    return this.#nodes.filter((node) => node !== null)
  }

  #wellNodes(): ModelNode[] {
    return this.#alive().filter(({ state }) => state === 'well')
  }

  /** Somebody is left to see what becomes of it. */
  #canDoWithout(node: ModelNode): boolean {
    return this.#alive().some((other) => other !== node && other.state !== 'lost')
  }

  #node(where: number): ModelNode {
    const alive = this.#alive()
    return alive[where % alive.length] as ModelNode
  }

  #wellNode(where: number): ModelNode | null {
    const well = this.#wellNodes()
    return well[where % well.length] ?? null
  }

  #page(which: number): ModelPage | null {
    return this.#pages[which % this.#pages.length] ?? null
  }

  #pagesAt(node: ModelNode): ModelPage[] {
    return this.#pages.filter((page) => page.node === node)
  }

  #newPage(user: string): ModelPage {
    return new ModelPage({ user, onNews: () => this.#news(), onBreach: (what) => void this.#breaches.push(what) })
  }

  #gone(page: ModelPage): void {
    this.#goesFrom(page)
    this.#pages = this.#pages.filter((other) => other !== page)
    for (const channel of page.channels) this.#departUnlessElsewhere(page, channel)
  }

  #goesFrom({ node, user, channels, isEstablished }: ModelPage): void {
    // Nobody knows whether it has come at all; then it is listed for a while.
    if (!isEstablished) this.#mayLinger = true
    if (node?.state !== 'lost') return
    for (const channel of channels) node.leavers.push({ channel, user, atMs: performance.now() })
  }

  async #scatter(node: ModelNode, elsewhere: number | null, limitMs: number): Promise<void> {
    const pages = this.#pagesAt(node)
    for (const page of pages) page.drop()
    if (elsewhere === null) for (const page of pages) this.#gone(page)
    else await Promise.all(pages.map((page) => this.#bring(page, this.#node(elsewhere), limitMs)))
  }

  /** A page goes on at this node; it was never away if it is granted its channels in time. */
  async #bring(page: ModelPage, node: ModelNode, limitMs: number): Promise<void> {
    if (node.state !== 'well' || node.isShaken || !page.isEstablished) this.#departAll(page)
    page.isEstablished = false
    page.away = { sinceMs: performance.now(), limitMs }
    await page.moveTo(node)
  }

  #news(): void {
    for (const page of this.#pages) {
      if (page.away === null || !page.isSubscribed) continue
      if (performance.now() - page.away.sinceMs > page.away.limitMs) this.#departAll(page)
      page.away = null
    }
    this.#wake()
  }

  #departUnlessElsewhere(page: ModelPage, channel: string): void {
    const isElsewhere = this.#pages.some(
      (other) =>
        other !== page &&
        other.user === page.user &&
        other.isEstablished &&
        other.node?.state === 'well' &&
        other.channels.includes(channel),
    )
    if (!isElsewhere) this.#depart(channel, page.user)
  }

  #departAll(page: ModelPage): void {
    for (const channel of page.channels) this.#depart(channel, page.user)
  }

  #departAllOf(node: ModelNode): void {
    for (const page of this.#pagesAt(node)) {
      for (const channel of page.channels) this.#departUnlessElsewhere(page, channel)
    }
  }

  // What is on its way between a node and Redis may be held up for longer than the linger time.
  #unsettle(node: ModelNode): void {
    this.#isCalm = false
    for (const page of this.#pages) if (page.node === node && !page.isEstablished) this.#departAll(page)
  }

  #depart(channel: string, user: string): void {
    const key = `${channel} ${user}`
    this.#departures.set(key, (this.#departures.get(key) ?? 0) + 1)
  }

  // What a machine that is too busy does to a gateway is not the gateway's fault.
  #excuse(): void {
    if (this.#isLate) for (const page of this.#pages) if (!page.isEstablished) this.#departAll(page)
    for (const node of this.#alive()) if (node.forgotten > node.excused) this.#departAllOf(node)
  }

  #present(channel: string): string[] {
    const there = this.#pages.filter((page) => page.node?.state === 'well' && page.channels.includes(channel))
    return [...new Set(there.map(({ user }) => user))].sort()
  }

  #expectedRecord() {
    const channels = new Map<string, Map<string, number>>()
    for (const page of this.#pages) {
      for (const channel of page.channels) {
        const users = channels.get(channel) ?? new Map<string, number>()
        channels.set(channel, users)
        for (const user of this.#present(channel)) {
          const nodes = this.#pages.filter(
            (one) => one.user === user && one.node?.state === 'well' && one.channels.includes(channel),
          )
          users.set(user, new Set(nodes.map(({ node }) => node)).size)
        }
      }
    }
    return { channels, nodes: this.#wellNodes().length }
  }

  /** What pages of nodes that can know have been told otherwise than it is. */
  #untrue(): string[] {
    if (this.#breaches.length > 0) throw this.#failure('A page was told what cannot be', this.#breaches)
    const untrue: string[] = []
    for (const { user, view, node, channels } of this.#pages) {
      if (node?.state !== 'well' || view === null) continue
      const expected = [...channels].sort().map((channel) => `${channel}: ${this.#present(channel)}`)
      const told = view.channels.map((channel) => `${channel}: ${view.members(channel)}`)
      if (expected.join('; ') === told.join('; ')) continue
      untrue.push(`${user} at ${node.name} should have ${expected.join('; ')} and has ${view.describe()}`)
    }
    return untrue
  }

  // Whatever was published before it has been told when it has come.
  async #passFence(deadlineMs: number): Promise<void> {
    const first = this.#fence + 1
    const hasPassed = () =>
      this.#pages.every(({ view, node, channels }) => {
        if (node?.state !== 'well') return true
        return channels.every((channel) => (view?.fences.get(channel) ?? 0) >= first)
      })
    while (!hasPassed()) {
      this.#fence += 1
      const channels = new Set(this.#pages.flatMap((page) => page.channels))
      for (const channel of channels)
        await this.#redis.publish(this.#options.redisPrefix + channel, laravel(this.#fence))
      // A gateway that is just coming back does not hear it: then the next one follows.
      await this.#until(hasPassed, Date.now() + 200).catch(() => {})
      if (Date.now() > deadlineMs) throw this.#failure('Broadcasts do not come through', [])
    }
  }

  #countDepartures(): void {
    const excess: string[] = []
    for (const { user, node, view, baseline } of this.#pages) {
      if (node?.state !== 'well') continue
      for (const [key, times] of view?.leavings() ?? []) {
        const may = (this.#departures.get(key) ?? 0) - (baseline.get(key) ?? 0)
        if (times > may)
          excess.push(`${user} at ${node.name}: ${key} ${times} times, left ${may} times: ${view?.describe()}`)
      }
    }
    if (excess.length > 0) throw this.#failure('Somebody was shown leaving too often', excess)
  }

  async #until(condition: () => boolean, deadlineMs: number): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        const impatience = setTimeout(
          () => reject(this.#failure(`Not true within ${DEADLINE_MS} ms`, this.#untrue())),
          Math.max(0, deadlineMs - Date.now()),
        )
        this.#wake = () => {
          clearTimeout(impatience)
          resolve()
        }
      })
    }
  }

  #failure(what: string, details: readonly string[]): Error {
    const logs = this.#alive().flatMap(({ name, log }) =>
      log.lines.filter(({ level }) => level === 'warn').map(({ msg }) => `${name}: ${msg}`),
    )
    return new Error([what, ...details, 'Warnings:', ...logs.slice(-20)].join('\n  '))
  }
}
