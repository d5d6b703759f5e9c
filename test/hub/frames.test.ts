import { describe, expect, it } from 'vitest'
import { byeFrame, connectedFrame, deniedFrame, gapFrame, pingFrame, subscribedFrame } from '../../src/hub/frames.ts'
import type { Frame } from '../../src/sse/frame.ts'

const text = (frame: Frame) => frame.bytes.toString()
const CONNECTED = {
  protocol: 1,
  socketId: '8123.1',
  key: 'k',
  heartbeatMs: 15_000,
  resume: 'fresh',
  mode: 'stream',
  time: 5,
} as const

describe('what the gateway says beside the broadcasts', () => {
  it('is `connected`', () => {
    const data =
      '{"protocol":1,"socketId":"8123.1","key":"k","heartbeatMs":15000,"resume":"fresh","mode":"stream","time":5}'
    expect(text(connectedFrame(CONNECTED, '1.2.3', 2000))).toBe(
      `retry: 2000\nid: 1.2.3\nevent: connected\ndata: ${data}\n\n`,
    )
    expect(text(connectedFrame(CONNECTED, null, 2000))).toBe(`retry: 2000\nevent: connected\ndata: ${data}\n\n`)
  })

  it('is `subscribed`, with who the page is and with the secret, where there is one', () => {
    expect(text(subscribedFrame('a', { allowed: true }))).toBe('event: subscribed\ndata: {"channel":"a"}\n\n')
    const member = { id: '7', info: { name: 'Ada' } }
    const list = { json: '[]', count: null }
    expect(text(subscribedFrame('presence-r', { allowed: true, member, sharedSecret: 's' }, list))).toBe(
      'event: subscribed\ndata: {"channel":"presence-r","members":[],"me":"7","sharedSecret":"s"}\n\n',
    )
  })

  it('is `subscribed` without who the page is on a private channel, where the gateway may know it as well', () => {
    const member = { id: '7', info: null }
    expect(text(subscribedFrame('private-a', { allowed: true, member }))).toBe(
      'event: subscribed\ndata: {"channel":"private-a"}\n\n',
    )
  })

  it('is `denied`', () => {
    const denial = { allowed: false, status: 503, code: 'authorizer_unavailable', message: 'M.', retry: true } as const
    expect(text(deniedFrame('private-x', { ...denial, retryAfterMs: 900 }))).toBe(
      'event: denied\ndata: {"channel":"private-x","status":503,"code":"authorizer_unavailable","message":"M.","retry":true,"retryAfterMs":900}\n\n',
    )
    expect(text(deniedFrame('private-x', denial))).not.toContain('retryAfterMs')
  })

  it('keeps a name or a message with line breaks inside its JSON', () => {
    const denial = { allowed: false, status: 403, code: 'forbidden', message: 'a\nb', retry: false } as const
    expect(text(deniedFrame('x\nid: 9', denial)).split('\n')).toHaveLength(4)
  })

  it('is `ping` and `gap`, with an id where the place has moved', () => {
    expect(text(pingFrame({ time: 5 }, '1.2.3'))).toBe('id: 1.2.3\nevent: ping\ndata: {"time":5}\n\n')
    expect(text(pingFrame({ time: 5 }, null))).toBe('event: ping\ndata: {"time":5}\n\n')
    expect(text(gapFrame({ channels: ['a'], reason: 'expired' }, '1.2.3'))).toBe(
      'id: 1.2.3\nevent: gap\ndata: {"channels":["a"],"reason":"expired"}\n\n',
    )
    expect(text(gapFrame({ channels: null, reason: 'restart' }, null))).toBe(
      'event: gap\ndata: {"channels":null,"reason":"restart"}\n\n',
    )
  })

  it('is `bye`, with `retry:` for browsers that come back by themselves', () => {
    expect(text(byeFrame({ reason: 'drain', retryAfterMs: 1500 }))).toBe(
      'retry: 1500\nevent: bye\ndata: {"reason":"drain","retryAfterMs":1500}\n\n',
    )
  })
})
