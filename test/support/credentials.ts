import type { Credentials } from '../../src/auth/authorizer.ts'

/** A browser with a Laravel session behind a proxy, unless a test says otherwise. */
export function credentials(
  headers: Credentials['headers'] = { cookie: 'laravel_session=alice' },
  more: Partial<Credentials> = {},
): Credentials {
  return { headers, address: '203.0.113.7', protocol: 'https', host: 'app.example', ...more }
}
