import { describe, expect, it } from 'vitest'
import { ask } from '../support/ask.ts'
import { startGateway } from '../support/gateway.ts'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

describe('GET /', () => {
  it.each([undefined, '*/*', 'application/json', 'text/plain'])('is OK for who asks for %s', async (accept) => {
    const { url } = await startGateway({ tryPage: true })
    const answer = await ask(`${url}/`, { headers: accept === undefined ? {} : { accept } })
    expect(answer).toMatchObject({
      status: 200,
      text: 'OK',
      headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store, no-transform' },
    })
  })

  it.each([BROWSER, 'TEXT/HTML'])('is the try-it page for a browser: %s', async (accept) => {
    const { url } = await startGateway({ tryPage: true })
    const answer = await ask(`${url}/`, { headers: { accept } })
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
  })

  it('is OK for a browser too where the try-it page is off', async () => {
    const { url } = await startGateway({ tryPage: false })
    expect(await ask(`${url}/`, { headers: { accept: BROWSER } })).toMatchObject({ status: 200, text: 'OK' })
    expect((await ask(`${url}/`, { method: 'POST' })).status).toBe(405)
  })
})
