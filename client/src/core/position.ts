/**
 * True when a message with this id comes after the one with the other id. Ids are positions, `<epoch>.<marker>.<count>`,
 * behind `<start>~` while a channel of the stream is undecided. Those of different epochs cannot be compared.
 */
export function isNewer(id: string, than: string): boolean {
  const [epoch, marker = 0, count = 0] = numbersOf(id)
  const [otherEpoch, otherMarker = 0, otherCount = 0] = numbersOf(than)
  return epoch !== otherEpoch || marker > otherMarker || (marker === otherMarker && count > otherCount)
}

function numbersOf(id: string): number[] {
  return id
    .slice(id.indexOf('~') + 1)
    .split('.')
    .map(Number)
}
