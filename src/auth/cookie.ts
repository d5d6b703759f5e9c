/** Reading a Cookie header as a browser writes it. Never throws. */

/** The gateway's own HttpOnly cookie: it tells browsers apart, it is no login. */
export const OWN_COOKIE = 'laravel_echo_sse'

/** The value of the first cookie of this name, as it stands. PHP takes the first one as well. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  return pairs(header).find((pair) => pair.name === name)?.value
}

/** True when there is a cookie that could mean something to Laravel, so not only our own. */
export function hasForeignCookie(header: string | undefined): boolean {
  return pairs(header).some((pair) => pair.name !== OWN_COOKIE)
}

function pairs(header: string | undefined): { name: string; value: string }[] {
  if (header === undefined) return []
  return header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      if (equals < 0) return { name: '', value: pair }
      return { name: pair.slice(0, equals).trim(), value: pair.slice(equals + 1).trim() }
    })
}
