import type { Logger } from 'pino'
import type { Authorizer } from '../auth/authorizer.ts'
import type { Grants } from '../auth/grants.ts'
import type { Identities } from '../auth/identity.ts'
import type { Broker } from '../broker/broker.ts'
import type { LastEvents } from '../cache/last-events.ts'
import type { ChannelRules } from '../channels/channel.ts'
import type { Config } from '../config/config.ts'
import type { History } from '../history/history.ts'
import type { Heartbeat } from '../hub/heartbeat.ts'
import type { Hub } from '../hub/hub.ts'
import type { LifeLog } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Occupancy } from '../occupancy/occupancy.ts'
import type { Presence } from '../presence/presence.ts'
import type { Webhooks } from '../webhooks/webhooks.ts'
import type { Admission } from './admission.ts'

/** The parts that requests are served with. */
export type Services = {
  readonly config: Config
  readonly logger: Logger
  readonly lifeLog: LifeLog
  readonly metrics: Metrics
  readonly broker: Broker
  readonly history: History
  readonly hub: Hub
  readonly heartbeat: Heartbeat
  readonly authorizer: Authorizer
  readonly grants: Grants
  readonly presence: Presence
  readonly occupancy: Occupancy
  readonly lastEvents: LastEvents
  readonly webhooks: Webhooks
  readonly admission: Admission
  readonly rules: ChannelRules
  /** null until the secret that signs keys is known. */
  identities: Identities | null
}
