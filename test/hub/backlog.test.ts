import { describe, expect, it } from 'vitest'
import { backlogBytes, boundBacklog } from '../../src/hub/backlog.ts'
import { framesNamed, Stage } from '../support/stage.ts'

function stageWith(...pendingBytes: number[]) {
  const stage = new Stage()
  const pages = pendingBytes.map((bytes) => {
    const page = stage.open(['a'])
    page.outlet.pendingBytes = bytes
    return page
  })
  return { hub: stage.hub, pages, ended: () => pages.map((page) => page.ended.length === 1) }
}

describe('the backlog of all streams', () => {
  it('is the sum of what waits', () => {
    expect(backlogBytes(stageWith(10, 0, 32).hub)).toBe(42)
  })

  it('costs nobody the stream up to its bound', () => {
    const { hub, ended } = stageWith(10, 0, 32)
    boundBacklog(hub, 42)
    expect(ended()).toEqual([false, false, false])
  })

  it('costs the slowest theirs beyond it, and no more of them than needed', () => {
    const { hub, pages, ended } = stageWith(10, 300, 0, 200, 50)
    boundBacklog(hub, 100)
    expect(ended()).toEqual([false, true, false, true, false])
    expect(backlogBytes(hub)).toBe(60)
    expect(framesNamed(pages[1]?.outlet.frames ?? [], 'bye')[0]?.data).toMatchObject({ reason: 'slow' })
  })
})
