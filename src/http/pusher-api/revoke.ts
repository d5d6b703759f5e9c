import { parseRevocation } from '../../auth/revocation.ts'
import { REVOCATIONS } from '../../channels/own-traffic.ts'
import type { Route } from './route.ts'
import { bodyOf, invalid } from './signed-request.ts'

/**
 * `POST /apps/{id}/revoke`: takes guarded channels from a user, from everybody on a channel, or from one socket, on all
 * gateways. Not one of Pusher's own calls.
 */
export const revoke: Route = {
  method: 'POST',
  path: '/revoke',
  async answer({ broker }, request) {
    const revocation = parseRevocation(bodyOf(request).toString())
    if (revocation === null) throw invalid(WHAT)
    await broker.publish([REVOCATIONS], JSON.stringify(revocation))
    return {}
  },
}

const WHAT =
  'Send a JSON object that names what to revoke, and nothing else: user, channel, socket, or several of them for what fits all; each is a text.'
