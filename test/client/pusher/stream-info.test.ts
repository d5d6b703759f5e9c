import { describe, expect, it } from 'vitest'
import { SsePusher } from '../../../client/src/pusher/pusher.ts'
import { followStream, type StreamInfo } from '../../../client/src/pusher/stream-info.ts'

describe('following a stream', () => {
  it('tells how it is, and each change, until it is stopped', () => {
    const { client, told, stop } = following()
    client.connection.turn('connecting')
    client.connection.use('eventsource', 'default')
    stop()
    client.connection.turn('failed')
    expect(told).toEqual([
      { status: 'disconnected', transport: null, reason: '' },
      { status: 'connecting', transport: null, reason: '' },
      { status: 'connecting', transport: 'eventsource', reason: 'default' },
    ])
  })

  it('finds the client of an Echo, ours or the real one', () => {
    const client = new SsePusher('x', { url: 'https://gateway.test' })
    const told: StreamInfo[] = []
    followStream({ connector: { pusher: client } }, (info) => told.push(info))
    expect(told).toHaveLength(1)
  })

  it('leaves alone an Echo over something else, and a page without a client', () => {
    const told: StreamInfo[] = []
    followStream({ connector: { pusher: {} } }, (info) => told.push(info))()
    followStream(undefined, (info) => told.push(info))()
    expect(told).toEqual([])
  })
})

function following() {
  const client = new SsePusher('x', { url: 'https://gateway.test' })
  const told: StreamInfo[] = []
  return { client, told, stop: followStream(client, (info) => told.push(info)) }
}
