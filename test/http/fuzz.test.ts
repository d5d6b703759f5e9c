import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseChannel } from '../../src/channels/channel.ts'
import { GatewayError } from '../../src/errors.ts'
import { formParameters, jsonParameters, queryParameters, readStreamRequest } from '../../src/http/stream-request.ts'
import { PARAMETERS } from '../../src/protocol.ts'

const RUNS = 50_000
const TIMEOUT_MS = 60_000
const LIMITS = { maxChannels: 100, heartbeatMs: 15_000 }
const RULES = { maxNameBytes: 200, prefix: 'laravel_database_' }

const word = fc.oneof(
  fc.constantFrom(
    ...Object.values(PARAMETERS),
    '__proto__',
    'channels[]',
    'channel[0]',
    '',
    '%',
    '%2C',
    '%00',
    '%ff',
    ',',
  ),
  fc.constantFrom(
    'poll',
    'stream',
    '25',
    '1.2.3',
    '1.2.3~4.5.6',
    'private-a',
    'presence-',
    'NaN',
    '-1',
    '1e99',
    '9'.repeat(400),
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const query = fc
  .array(fc.tuple(word, fc.constantFrom('=', '', '==', '%3D'), word, fc.constantFrom('&', ';', '&&', '')), {
    maxLength: 12,
  })
  .map((pairs) => pairs.flat().join(''))
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1'))

it(
  'no query does more than be refused: 50,000 random and mutated ones',
  () => {
    fc.assert(
      fc.property(fc.oneof(query, bytes), fc.option(word, { nil: undefined }), (text, id) => {
        checkReading(() => readStreamRequest(queryParameters(`/stream?${text}`), id, LIMITS))
        checkReading(() => readStreamRequest(formParameters(text), id, LIMITS))
      }),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)

it(
  'no body does more than be refused: 50,000 random and mutated ones',
  () => {
    const value = fc.oneof(word, fc.double(), fc.array(fc.oneof(word, fc.anything()), { maxLength: 5 }), fc.anything())
    const body = fc.oneof(fc.dictionary(word, value, { maxKeys: 8 }), fc.anything())
    fc.assert(
      fc.property(body, (parsed) => checkReading(() => readStreamRequest(jsonParameters(parsed), undefined, LIMITS))),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)

/** A refusal of the closed list, or a request whose every value is inside its range. */
function checkReading(read: () => ReturnType<typeof readStreamRequest>): void {
  let wanted: ReturnType<typeof readStreamRequest>
  try {
    wanted = read()
  } catch (error) {
    if (error instanceof GatewayError && error.status === 400) return
    throw error
  }
  const { channels, waitMs, heartbeatMs } = wanted
  // One look instead of many: this runs a hundred thousand times.
  const isInside =
    channels.length <= LIMITS.maxChannels &&
    new Set(channels).size === channels.length &&
    !channels.includes('') &&
    waitMs >= 0 &&
    waitMs <= 25_000 &&
    heartbeatMs >= 2000 &&
    heartbeatMs <= LIMITS.heartbeatMs
  const strange = channels.filter((name) => 'kind' in parseChannel(name, RULES) && /[\r\n\0 ]|^#|^sse:/.test(name))
  if (!isInside || strange.length > 0) expect(wanted).toBe('inside its limits, with names that somebody can mean')
}
