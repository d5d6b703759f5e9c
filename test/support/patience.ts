/**
 * How long a test waits for an event before it says what came instead. Waiting costs nothing where all is well, so it is
 * long enough for a machine that does much else at the same time.
 */
export const PATIENCE_MS = 20_000
