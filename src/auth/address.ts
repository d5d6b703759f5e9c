import { BlockList, isIP } from 'node:net'

/** Where does a call come from, and under which address did it reach us? */

export type CallerHeaders = Readonly<Record<string, string | undefined>>

export type Connection = {
  /** The peer of the socket; undefined only where the gateway listens on a Unix socket. */
  readonly remoteAddress: string | undefined
  /** The request's headers, names in lower case. */
  readonly headers: CallerHeaders
  /** True when the connection to us is TLS. */
  readonly encrypted: boolean
}

export type Caller = {
  /** The rightmost address that is not a trusted proxy; `unix` for a Unix socket without a proxy's word. */
  readonly address: string
  readonly protocol: 'http' | 'https'
  /** Host and port as the caller wrote them; empty when they are missing or malformed. */
  readonly host: string
  /** True when some proxy left its mark, trusted or not. */
  readonly forwarded: boolean
}

/** Describes a caller. X-Forwarded-* count only when the peer is a trusted proxy. Never throws on what a caller sends. */
export function describeCaller(
  { remoteAddress, headers, encrypted }: Connection,
  trustProxy: readonly string[],
): Caller {
  const trusts = trustOf(trustProxy)
  const peer = remoteAddress === undefined ? UNIX : (parseAddress(remoteAddress) ?? remoteAddress)
  const forwarded = Object.keys(headers).some((name) => /^(forwarded|via|x-real-ip|x-forwarded-.*)$/.test(name))
  // Asking whether a peer is trusted is the dearest step here, and without a proxy's word nothing hangs on it.
  const proxy = forwarded && trusts(peer) ? headers : {}
  const protocol = forwardedProtocol(proxy) ?? (encrypted ? 'https' : 'http')
  return {
    address: clientAddress(peer, proxy['x-forwarded-for'], trusts),
    protocol,
    host: publicHost(proxy, headers.host ?? headers[':authority']),
    forwarded,
  }
}

/** Reads a list of `loopback`, `unix`, addresses and CIDR ranges; throws a sentence about the first faulty one. */
export function parseTrust(entries: readonly string[]): (address: string) => boolean {
  const ranges = new BlockList()
  for (const entry of entries) {
    if (entry !== UNIX) addRange(ranges, entry)
  }
  const unix = entries.includes(UNIX)
  return (address) => {
    const version = isIP(address)
    return version === 0 ? unix && address === UNIX : ranges.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
}

/** What counts as one caller: an IPv4 address, or the /64 that one IPv6 subscriber has. */
export function addressGroup(address: string): string {
  const parsed = parseAddress(address)
  if (parsed === null || isIP(parsed) === 4) return parsed ?? address
  return `${ipv6Groups(parsed).slice(0, 4).join(':')}::/64`
}

/** True for `host` or `host:port`, names and addresses. */
export function isHost(text: string): boolean {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(:\d{1,5})?$/i.test(text)
}

/** The port of a host, if it names one. */
export function portOf(host: string): string | undefined {
  return /:(\d+)$/.exec(host)?.[1]
}

const UNIX = 'unix'
const compiled = new WeakMap<readonly string[], (address: string) => boolean>()

/** Building a BlockList per request would cost more than the request; a configuration has one list. */
function trustOf(entries: readonly string[]): (address: string) => boolean {
  const known = compiled.get(entries)
  if (known !== undefined) return known
  const trusts = parseTrust(entries)
  compiled.set(entries, trusts)
  return trusts
}

function addRange(ranges: BlockList, entry: string): void {
  if (entry === 'loopback') {
    ranges.addSubnet('127.0.0.0', 8, 'ipv4')
    ranges.addAddress('::1', 'ipv6')
    return
  }
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const version = isIP(address)
  const maxBits = version === 4 ? 32 : 128
  if (version === 0 || Number(bits ?? 0) > maxBits) {
    throw new Error(`A trusted proxy is loopback, unix, an address or a range such as 10.0.0.0/8, got "${entry}".`)
  }
  ranges.addSubnet(address, Number(bits ?? maxBits), version === 4 ? 'ipv4' : 'ipv6')
}

/** Each proxy appends the peer it saw, so only the part to the right of the first stranger is to be believed. */
function clientAddress(peer: string, forwardedFor: string | undefined, trusts: (address: string) => boolean): string {
  let address = peer
  if (forwardedFor === undefined) return address
  for (const entry of forwardedFor.split(',').reverse()) {
    const previous = trusts(address) ? parseAddress(entry.trim()) : null
    if (previous === null) break
    address = previous
  }
  return address
}

/** An address in one spelling, without port, brackets and zone; null when it is none. */
function parseAddress(text: string): string | null {
  const [, bracketed, withPort] = /^\[([^\]]+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(text) ?? []
  const bare = (bracketed ?? withPort ?? text).replace(/%.*$/, '')
  const version = isIP(bare)
  if (version !== 6) return version === 4 ? bare : null
  const groups = ipv6Groups(bare)
  return groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff' ? mappedIpv4(groups) : bare.toLowerCase()
}

/** The eight groups of a valid IPv6 address, without leading zeros. */
function ipv6Groups(address: string): string[] {
  // The URL parser writes every IPv6 address in the one canonical way [WHATWG URL, IPv6 serializer].
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const left = head === '' ? [] : head.split(':')
  if (tail === undefined) return left
  const right = tail === '' ? [] : tail.split(':')
  return [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
}

/** A socket that listens on both families reports `::ffff:192.0.2.1` for an IPv4 caller. */
function mappedIpv4(groups: string[]): string {
  return groups
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((word) => [word >> 8, word & 255])
    .join('.')
}

// Of several values the last one counts: it is the nearest proxy's, the others may be the caller's.
function last(value: string | undefined): string {
  return value?.split(',').at(-1)?.trim() ?? ''
}

function forwardedProtocol(proxy: CallerHeaders): 'http' | 'https' | null {
  const protocol = last(proxy['x-forwarded-proto']).toLowerCase()
  return protocol === 'http' || protocol === 'https' ? protocol : null
}

function publicHost(proxy: CallerHeaders, ownHost: string | undefined): string {
  const forwarded = last(proxy['x-forwarded-host'])
  const host = isHost(forwarded) ? forwarded : (ownHost ?? '')
  if (!isHost(host)) return ''
  const port = last(proxy['x-forwarded-port'])
  // 80 and 443 say nothing that the protocol does not, and 80 under https is an inner proxy's.
  const saysMore = /^\d{1,5}$/.test(port) && port !== '80' && port !== '443'
  return saysMore && portOf(host) === undefined ? `${host}:${port}` : host
}
