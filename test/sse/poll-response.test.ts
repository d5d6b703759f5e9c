import { describe, expect, it } from 'vitest'
import { Frame } from '../../src/sse/frame.ts'
import { Batch, type Outlet } from '../../src/sse/outlet.ts'
import { PollResponse } from '../../src/sse/poll-response.ts'

const frame = (text: string) => new Frame(`data: ${text}\n\n`)

function poll(maxBytes = 1000) {
  const bodies: string[] = []
  return { bodies, response: new PollResponse(maxBytes, (body) => bodies.push(body.toString())) }
}

describe('the answer of a long-poll', () => {
  it('is the same frames as a stream, without chunk framing, in one piece', () => {
    const { response, bodies } = poll()
    response.write([frame('a'), frame('é')])
    response.writeBatch(new Batch([frame('b')]))
    expect(bodies).toEqual([])
    response.end(frame('bye'))
    expect(bodies).toEqual(['data: a\n\ndata: é\n\ndata: b\n\ndata: bye\n\n'])
  })

  it('ends once and takes nothing afterwards', () => {
    const { response, bodies } = poll()
    response.end()
    response.end(frame('again'))
    response.write([frame('late')])
    expect([bodies, response.isOpen]).toEqual([[''], false])
  })

  it('is full at its bound: its bytes then wait for the next poll', () => {
    const { response } = poll(30)
    response.write([frame('a')])
    expect([response.isFull, response.pendingBytes]).toEqual([false, 0])
    response.write([frame('x'.repeat(20))])
    expect(response.isFull).toBe(true)
    expect(response.pendingBytes).toBeGreaterThanOrEqual(30)
  })

  it('has room for news however long that is what every answer says', () => {
    const { response, bodies } = poll(30)
    response.write([frame('x'.repeat(100))], { isRepeated: true })
    expect([response.isFull, response.pendingBytes]).toEqual([false, 0])
    response.write([frame('x'.repeat(20))])
    expect(response.isFull).toBe(true)
    response.end()
    expect(bodies[0]).toHaveLength(108 + 28)
  })

  it('never drains: a full answer is finished, not emptied', () => {
    const outlet: Outlet = poll(1).response
    outlet.write([frame('a')])
    let calls = 0
    outlet.onceDrained(() => {
      calls += 1
    })
    outlet.end()
    expect(calls).toBe(0)
  })
})
