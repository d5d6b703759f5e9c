import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { atEndOfTest } from './at-end.ts'
import { openStream, SseClient } from './sse-client.ts'

/** A server that says this and ends. */
async function serverThatSays(text: string): Promise<string> {
  const server = createServer((_request, response) => response.end(text)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  atEndOfTest(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Frames with these ids. */
function framesWith(...ids: string[]): string {
  return ids.map((id) => `id: ${id}\ndata: 1\n\n`).join('')
}

describe('the reader of streams that all tests use', () => {
  it.each([[['1.1.1', '1.1.1']], [['1.1.10', '1.1.9']], [['2.1.1', '1.9.9']], [['1.1.2', '1.1.1~1.1.3', '1.1.1']]])(
    'fails on plain ids that do not increase: %j',
    async (ids) => {
      const page = await openStream(await serverThatSays(framesWith(...ids)), { tolerateDisorder: true })
      await page.ended
      await expect(page.next()).rejects.toThrow('Ids must increase')
    },
  )

  it('takes ids that do, and ids of streams that are undecided, for what they are', async () => {
    const ids = ['1.1.1~1.1.1', '1.1.1~1.1.9', '1.1.1~1.1.5', '1.1.9', '1.1.10', '2.1.1']
    const page = await openStream(await serverThatSays(framesWith(...ids)))
    expect(page).toBeInstanceOf(SseClient)
    expect((await page.take(ids.length)).map(({ id }) => id)).toEqual(ids)
    expect(page.lastEventId).toBe('2.1.1')
  })

  it('says what came when what was awaited did not', async () => {
    const page = await openStream(await serverThatSays('event: ping\ndata: 5\n\n'))
    await expect(page.next('bye')).rejects.toThrow(/ended without another bye frame.*200 event: ping/s)
  })
})
