import type { FastifyRequest } from 'fastify'
import { type Caller, describeCaller } from '../auth/address.ts'

/** Who calls: where from, and with which headers. */
export type HttpCaller = Caller & {
  /** Names in lower case; what came several times is joined as HTTP says. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** True for a process on this machine that comes without a proxy. */
  readonly isLocal: boolean
}

const LOOPBACK_ADDRESS = /^(127\.|::1$|::ffff:127\.)/
const GONE = ''
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/** What of the configuration says how far a caller is believed. */
export type Trust = { readonly trustProxy: readonly string[]; readonly socket: string | null }

export function describeRequest(request: FastifyRequest, { trustProxy, socket: unixSocket }: Trust): HttpCaller {
  const headers = flatten(request.headers)
  const { socket } = request.raw
  // A TCP connection that was reset has no peer address any more, and must not pass for a Unix socket.
  const remoteAddress = socket.remoteAddress ?? (unixSocket === null ? GONE : undefined)
  const { address, protocol, host, forwarded } = describeCaller(
    { remoteAddress, headers, encrypted: request.protocol === 'https' },
    trustProxy,
  )
  // The Host as well: with DNS rebinding a page elsewhere speaks to loopback under its own name.
  const isLoopback = remoteAddress !== undefined && LOOPBACK_ADDRESS.test(remoteAddress)
  const isLocal = isLoopback && !forwarded && LOOPBACK_HOST.test(headers.host ?? '')
  return { address, protocol, host, forwarded, headers, isLocal }
}

/** The path alone: queries hold keys and may hold more, so they are never logged. */
export function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

function flatten(headers: FastifyRequest['headers']): Record<string, string | undefined> {
  const flat: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(headers)) flat[name] = Array.isArray(value) ? value.join(', ') : value
  return flat
}
