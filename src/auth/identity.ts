import {
  createHash,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  randomInt,
  timingSafeEqual,
} from 'node:crypto'
import { cookieValue, OWN_COOKIE } from './cookie.ts'

/** Which page is this? A socket id that outlives reconnects, and the key that proves it. */

export type IdentitiesOptions = {
  /** Signs the keys; the same on every node. */
  readonly secret: string | Buffer
  /** How long a key is good for, in seconds. Default 86400. */
  readonly keyTtlS?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export type IdentityQuestion = {
  readonly socketId?: string | undefined
  readonly key?: string | undefined
  /** The request's headers, names in lower case; of these Authorization and Cookie count. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /**
   * True only when the browser will keep our cookie and send it back, so for pages of ours and for credentialed
   * calls of listed origins. Where it will not, a key bound to the cookie is lost and every return is a new identity.
   */
  readonly mayStoreCookie: boolean
  /** True when the page is of another site: the cookie is then `SameSite=None; Secure`. */
  readonly crossSite?: boolean
  /** True when the caller reached us by https. */
  readonly encrypted?: boolean
}

export type Identity = {
  readonly socketId: string
  readonly key: string
  /** The whole Set-Cookie line, when a cookie has to be stored for the key to be worth something. */
  readonly setCookie: string | null
  /** True when the caller keeps the socket id it brought. */
  readonly kept: boolean
  /** True when it is also the same browser: its key is bound to something else that it brought. */
  readonly proven: boolean
}

const COOKIE_MAX_AGE_S = 30 * 24 * 3600

// More than this many changes of the shared secret within a key's life mean trouble that no list cures.
const MAX_PREVIOUS_SECRETS = 2

// With the pusher driver Laravel's SDK refuses any other form and toOthers() would break the publishing request.
const SOCKET_ID = /^\d{1,10}\.\d{1,10}$/

export class Identities {
  #secret: Secret
  /** No longer sign, but what they signed is still good. */
  #previous: readonly Secret[] = []
  readonly #keyTtlS: number
  readonly #now: () => number

  constructor({ secret, keyTtlS = 86_400, now = Date.now }: IdentitiesOptions) {
    this.#secret = secretFrom(secret)
    this.#keyTtlS = keyTtlS
    this.#now = now
  }

  /** What signs now. */
  get secret(): string {
    return this.#secret.bytes.toString()
  }

  /** Signs with another secret from now on; keys of the one before stay good. */
  adopt(secret: string): void {
    const adopted = secretFrom(secret)
    const before = this.#secret
    if (before.bytes.equals(adopted.bytes)) return
    const others = this.#previous.filter(({ bytes }) => !bytes.equals(adopted.bytes))
    this.#previous = [before, ...others].slice(0, MAX_PREVIOUS_SECRETS)
    this.#secret = adopted
  }

  /** Keeps the identity the caller proves, or gives a new one: a wrong key is never an error. */
  resolve(question: IdentityQuestion): Identity {
    const { socketId: claimed, key, headers, mayStoreCookie } = question
    const presented = bindingOf(headers)
    const cookie = presented === NO_BINDING && mayStoreCookie ? randomBytes(18).toString('base64url') : null
    // A key that was bound to nothing stays good for whoever read it, so nobody is given anything under its socket id.
    const isKeepable = cookie === null && claimed !== undefined && key !== undefined
    const kept = isKeepable && this.#isValid(claimed, key, presented)
    const socketId = kept ? claimed : newSocketId()
    const binding = cookie === null ? presented : cookieBinding(cookie)
    const setCookie = cookie && setCookieLine(cookie, question)
    return { socketId, key: this.#mint(socketId, binding), setCookie, kept, proven: kept && presented !== NO_BINDING }
  }

  /** True when the caller proves this socket id. */
  proves({ socketId, key, headers }: Pick<IdentityQuestion, 'socketId' | 'key' | 'headers'>): boolean {
    return socketId !== undefined && key !== undefined && this.#isValid(socketId, key, bindingOf(headers))
  }

  #mint(socketId: string, binding: string): string {
    const expiry = String(Math.floor(this.#now() / 1000) + this.#keyTtlS)
    return `${expiry}.${sign(this.#secret, socketId, expiry, binding)}`
  }

  #isValid(socketId: string, key: string, binding: string): boolean {
    const [, expiry, signature] = /^(\d{1,12})\.([\w-]{43})$/.exec(key) ?? []
    if (expiry === undefined || signature === undefined || !SOCKET_ID.test(socketId)) return false
    if (Number(expiry) * 1000 <= this.#now()) return false
    const presented = Buffer.from(signature)
    return [this.#secret, ...this.#previous].some((secret) =>
      timingSafeEqual(presented, Buffer.from(sign(secret, socketId, expiry, binding))),
    )
  }
}

/** As a key object too: turning a text into a key costs a third of a signature. */
type Secret = { readonly bytes: Buffer; readonly key: KeyObject }

function secretFrom(secret: string | Buffer): Secret {
  const bytes = Buffer.from(secret)
  return { bytes, key: createSecretKey(bytes) }
}

function sign({ key }: Secret, socketId: string, expiry: string, binding: string): string {
  // The first part keeps this signature apart from any other use of the same secret.
  const signed = tuple('laravel-echo-sse key 1', socketId, expiry, binding)
  return createHmac('sha256', key).update(signed).digest('base64url')
}

const NO_BINDING = ''

/** What the key is bound to, so that a key read from an address in some log is not enough. */
function bindingOf(headers: IdentityQuestion['headers']): string {
  if (headers.authorization) return `authorization ${digest(headers.authorization)}`
  const cookie = cookieValue(headers.cookie, OWN_COOKIE)
  return cookie ? cookieBinding(cookie) : NO_BINDING
}

// Laravel's own session cookie would not do: it is encrypted anew in every response.
function cookieBinding(cookie: string): string {
  return `cookie ${digest(cookie)}`
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** Two numbers from 1 to 1e9, as Reverb makes them. */
function newSocketId(): string {
  return `${randomInt(1, 1e9 + 1)}.${randomInt(1, 1e9 + 1)}`
}

/** Lengths first: no two lists of parts give the same text. */
function tuple(...parts: string[]): string {
  return parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('')
}

function setCookieLine(value: string, { crossSite = false, encrypted = false }: IdentityQuestion): string {
  const sameSite = crossSite ? 'SameSite=None; Secure' : encrypted ? 'SameSite=Lax; Secure' : 'SameSite=Lax'
  return `${OWN_COOKIE}=${value}; Path=/; Max-Age=${COOKIE_MAX_AGE_S}; HttpOnly; ${sameSite}`
}
