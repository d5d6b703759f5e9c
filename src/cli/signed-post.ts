import type { Config } from '../config/config.ts'
import { signRequest } from '../http/pusher-api/signature.ts'
import { PATHS } from '../protocol.ts'
import type { Outcome } from './publication.ts'

const TIMEOUT_MS = 10_000

export type SignedPost = {
  readonly config: Config
  /** The gateway's address; a sub-path of it is not part of what is signed. */
  readonly base: string
  /** What comes after `/apps/{id}/`. */
  readonly resource: string
  /** JSON. */
  readonly body: string
}

export type Answer = { readonly status: number; readonly text: string }

/** POSTs as Pusher's SDKs do. What is no answer is a sentence. */
export async function postSigned({ config, base, resource, body }: SignedPost): Promise<Answer | Outcome> {
  const { appId, appKey, appSecret } = config
  if (appId === null || appKey === null || appSecret === null) throw new Error('a signed request without credentials')
  const path = `${PATHS.apps}/${appId}/${resource}`
  const app = { id: appId, key: appKey, secret: appSecret }
  const query = signRequest({ method: 'POST', path, body, app, now: Date.now() })
  try {
    const response = await fetch(`${base.replace(/\/+$/, '')}${path}?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error)
    return {
      sentence: `${base} did not answer: ${cause.message || cause.name}. Is the gateway running there?`,
      failed: true,
    }
  }
}

/** The members of a JSON object; null when the answer is none. */
export function parseAnswer({ text }: Answer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** What a refusal says. */
export function describeRefusal(base: string, answer: Answer): Outcome {
  const error = parseAnswer(answer)?.error
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : error
  const reason = typeof message === 'string' ? message : answer.text.slice(0, 200).replace(/\s+/g, ' ')
  return { sentence: `${base} answered ${answer.status}: ${reason}`, failed: true }
}
