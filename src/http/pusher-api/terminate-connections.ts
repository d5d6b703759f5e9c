import type { Revocation } from '../../auth/revocation.ts'
import { REVOCATIONS } from '../../channels/own-traffic.ts'
import type { Route } from './route.ts'
import { invalid } from './signed-request.ts'

/** `POST /apps/{id}/users/{user}/terminate_connections`: ends the streams of a user, on all gateways. */
export const terminateConnections: Route = {
  method: 'POST',
  path: '/users/:user/terminate_connections',
  async answer({ broker }, { params }) {
    const { user } = params as { user: string }
    if (user === '') throw invalid('Name the user as Laravel does on presence channels.')
    const revocation: Revocation = { user, channel: null, socket: null, terminate: true }
    await broker.publish([REVOCATIONS], JSON.stringify(revocation))
    return {}
  },
}
