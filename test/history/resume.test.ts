import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparePositions, formatPosition, type Position } from '../../src/history/position.ts'
import { type Gap, Replay, type ReplayItem } from '../../src/history/replay.ts'
import { bytesOf, CHANNELS, type Heard, LogModel, type LogStep, logStep } from '../support/log-model.ts'

const steps = fc.array(logStep, { maxLength: 40 })
const channels = fc.subarray(CHANNELS, { minLength: 1 })

function modelAfter(list: readonly LogStep[]): LogModel {
  const model = new LogModel()
  for (const step of list) model.apply(step)
  return model
}

/** Starts a replay as a stream with this cursor does. */
function replayFrom({ history }: LogModel, cursor: Position, names: readonly string[]): Replay {
  const place = history.locate(cursor)
  if (place.kind !== 'at') throw new Error(`${formatPosition(cursor)} is ${place.kind}`)
  const cursors = names.map((channel) => ({ channel, seq: history.startOf(channel, cursor, place.seq) }))
  return new Replay(history, cursors, place.seq)
}

const gapsOf = (items: readonly ReplayItem[]): Gap[] => items.flatMap((item) => ('gap' in item ? [item.gap] : []))
const seqOf = (item: ReplayItem) => ('gap' in item ? item.gap.seq : item.entry.seq)
const tells = (item: ReplayItem, { entry }: Heard) => 'entry' in item && item.entry === entry
const names = (item: ReplayItem, { channel, entry }: Heard) =>
  'gap' in item && item.gap.channels?.includes(channel) === true && item.gap.seq >= entry.seq

/** Every message arrived, or before anything later of its channel a gap said that it may be missing. */
function expectNothingLostInSilence(items: readonly ReplayItem[], wanted: readonly Heard[]): void {
  for (const one of wanted) {
    const index = items.findIndex((item) => tells(item, one) || names(item, one))
    const next = items.findIndex(
      (item) => 'entry' in item && item.entry.channel === one.channel && item.entry.seq > one.entry.seq,
    )
    expect(index, `${one.channel} ${formatPosition(one.position)}: neither told nor said to be missing`).not.toBe(-1)
    if (next !== -1) expect(index).toBeLessThan(next)
  }
}

function expectOrder(items: readonly ReplayItem[]): void {
  const seqs = items.map(seqOf)
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  const positions = items.map((item) => ('gap' in item ? item.gap.position : item.entry.position))
  positions.slice(1).forEach((position, index) => {
    expect(comparePositions(positions[index] as Position, position)).toBeLessThanOrEqual(0)
  })
}

describe('the log beside the plainest account of it', () => {
  it('keeps what its bounds allow, the newest of each channel', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const model = modelAfter(list)
        expect(model.heard.map(({ entry }) => entry.dropped)).toEqual(model.heard.map(({ isKept }) => !isKept))
        expect(model.history.length).toBe(model.kept().length)
        expect(model.history.sizeBytes).toBe(bytesOf(model.kept()))
      }),
      { numRuns: 500 },
    )
  })

  it('tells after every cursor exactly what is left of what came after it, and a gap where something is not', () => {
    fc.assert(
      fc.property(steps, channels, fc.integer({ min: 1, max: 9 }), (list, asked, limit) => {
        const model = modelAfter(list)
        for (const cursor of model.cursors) {
          const replay = replayFrom(model, cursor, asked)
          const items = drain(replay, limit)
          const wanted = model.after(cursor, asked)
          expectOrder(items)
          expectNothingLostInSilence(items, wanted)
          const told = items.flatMap((item) => ('entry' in item ? [item.entry] : []))
          expect(told).toEqual(wanted.filter(({ isKept }) => isKept).map(({ entry }) => entry))
          const holes = gapsOf(items).filter((gap) => gap.channels === null)
          expect(holes.map(({ seq }) => seq)).toEqual(model.holesAfter(cursor).map(({ seq }) => seq))
        }
      }),
      { numRuns: 400 },
    )
  })

  it('speaks of a gap once a channel, and only where something was dropped', () => {
    fc.assert(
      fc.property(steps, channels, (list, asked) => {
        const model = modelAfter(list)
        for (const cursor of model.cursors) {
          const named = gapsOf(drain(replayFrom(model, cursor, asked), 7)).flatMap((gap) => gap.channels ?? [])
          expect(named).toEqual([...new Set(named)])
          // Of a channel that was forgotten altogether nobody knows any more whether it was this one.
          const dropped = model.after(cursor, CHANNELS).filter(({ isKept }) => !isKept)
          for (const name of named) {
            expect(dropped.some((one) => one.channel === name || one.isForgotten)).toBe(true)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  it('loses nothing in silence while the log moves on under a slow reader', () => {
    const turns = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.array(logStep, { maxLength: 6 })), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(steps, channels, fc.nat(), turns, (list, asked, pick, reading) => {
        const model = modelAfter(list)
        const cursor = model.cursors[pick % model.cursors.length] as Position
        const replay = replayFrom(model, cursor, asked)
        const items: ReplayItem[] = []
        for (const [limit, meanwhile] of reading) {
          items.push(...replay.take(limit))
          for (const step of meanwhile) model.apply(step)
        }
        items.push(...drain(replay, 5))
        expectOrder(items)
        expectNothingLostInSilence(items, model.after(cursor, asked))
        const holes = gapsOf(items).filter((gap) => gap.channels === null)
        expect(holes.map(({ seq }) => seq)).toEqual(model.holesAfter(cursor).map(({ seq }) => seq))
      }),
      { numRuns: 1000 },
    )
  })
})

function drain(replay: Replay, limit: number): ReplayItem[] {
  const all: ReplayItem[] = []
  for (;;) {
    all.push(...replay.take(limit, 1000))
    if (replay.isAtHead) return all
  }
}
