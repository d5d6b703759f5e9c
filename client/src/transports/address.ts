import type { StreamRequest } from './transport.ts'

/** Above this some proxies refuse an address: nginx, Apache and Squid between 7,900 and 8,300 bytes. */
const MAX_ADDRESS_BYTES = 6000

export function addressOf(request: StreamRequest): string {
  return `${request.url}/stream?${formOf(request)}`
}

export function isTooLong(request: StreamRequest): boolean {
  // Percent-encoded: a character is a byte.
  return addressOf(request).length > MAX_ADDRESS_BYTES
}

export function formOf({ parameters }: StreamRequest): URLSearchParams {
  return new URLSearchParams(parameters as [string, string][])
}
