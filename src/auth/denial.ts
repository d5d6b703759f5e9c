import { ERRORS, type ErrorCode } from '../errors.ts'
import type { Denial } from './authorizer.ts'

export type DenialOptions = {
  /** What to say instead of the table's sentence. */
  message?: string | undefined
  /** When the same question may get another answer; without it the denial is final. */
  retryAfterMs?: number | undefined
}

/** A refusal of one channel, its status and sentence taken from the table of errors. */
export function deny(code: ErrorCode, { message, retryAfterMs }: DenialOptions = {}): Denial {
  const [status, sentence] = ERRORS[code]
  const denial = {
    allowed: false,
    status,
    code,
    message: message || sentence,
    retry: retryAfterMs !== undefined,
  } as const
  return retryAfterMs === undefined ? denial : { ...denial, retryAfterMs: Math.ceil(retryAfterMs) }
}
