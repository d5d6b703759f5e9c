/** Where is auth asked? */

export type LaravelAddress = {
  /** Laravel's base URL, a path below the host included. */
  readonly url: string
  /** The auth route: a path below the base URL, or an absolute URL. Default `/broadcasting/auth`. */
  readonly endpoint?: string
}

/** The address of the auth route. Throws when the options make no URL. */
export function authAddress({ url, endpoint = '/broadcasting/auth' }: LaravelAddress): URL {
  const isAbsolute = /^https?:\/\//i.test(endpoint)
  const address = new URL(isAbsolute ? endpoint : `${url.replace(/\/+$/, '')}/${endpoint.replace(/^\/+/, '')}`)
  // Never sent (Authorization is the caller's own), and a password would end up in sentences for the log.
  address.username = ''
  address.password = ''
  return address
}
