import type { FastifyRequest } from 'fastify'
import type { Config } from '../../config/config.ts'
import type { Services } from '../services.ts'

/** One call of Pusher's HTTP API, or of ours beside it. */
export type Route = {
  readonly method: 'GET' | 'POST'
  /** Below `/apps/{id}`. */
  readonly path: string
  /** Where a body is longer than those of pages. */
  readonly bodyLimit?: (config: Config) => number
  /** True for what is counted as a publish. */
  readonly publishes?: true
  /** What whoever may ask is answered, as JSON with status 200: SDKs take nothing else for a success. */
  answer(services: Services, request: FastifyRequest): Promise<object>
}
