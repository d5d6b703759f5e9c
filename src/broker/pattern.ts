/** The PSUBSCRIBE pattern that hears every channel under a prefix; the prefix is meant literally. */
export function relayPattern(prefix: string): string {
  return `${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`
}
