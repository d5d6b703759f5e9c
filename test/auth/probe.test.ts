import { afterEach, beforeEach, expect, it } from 'vitest'
import { probeLaravel } from '../../src/auth/probe.ts'
import { FakeLaravel, type FakeReply, GRANT } from '../support/fake-laravel.ts'

let laravel: FakeLaravel

beforeEach(async () => {
  laravel = await FakeLaravel.start()
})

afterEach(() => laravel.close())

const probe = async (reply: FakeReply) => {
  laravel.answers(reply)
  return (await probeLaravel({ url: laravel.url, timeoutMs: 5_000 }))?.sentence ?? null
}

it.each<FakeReply>([
  { status: 401 },
  { status: 403 },
  { status: 419 },
  { status: 429 },
  { status: 302, headers: { location: 'http://app.example/login' } },
])('a Laravel that answers %j is well', async (reply) => {
  expect(await probe(reply)).toBeNull()
})

it.each<[FakeReply, RegExp]>([
  [{ status: 404 }, /php artisan install:broadcasting/],
  [{ status: 405 }, /does not take POST/],
  [{ status: 200 }, /BROADCAST_CONNECTION .* is log or null/],
  [{ status: 200, body: '<html>Welcome</html>' }, /are --laravel-url and --auth-endpoint right/],
  [GRANT, /grants a private channel to a caller without any login/],
  [{ status: 500 }, /answers 500 .*laravel\.log/],
  [{ status: 503 }, /php artisan up/],
  [
    { status: 301, headers: { location: 'https://app.example/broadcasting/auth?token=secret' } },
    /redirects to https:\/\/app\.example\/broadcasting\/auth, and redirects are not followed/,
  ],
  [{ reset: 'before-head' }, /could not be reached .*--laravel-url/],
])('a Laravel that answers %j is explained', async (reply, sentence) => {
  expect(await probe(reply)).toMatch(sentence)
  expect(laravel.requests).toHaveLength(1)
})

it('asks as nobody, for a channel of its own', async () => {
  await probe({ status: 403 })
  expect(laravel.requests).toMatchObject([{ channel: 'private-laravel-echo-sse-probe', socketId: '1.1' }])
  expect(laravel.requests[0]?.headers).not.toHaveProperty('cookie')
})

it('names --laravel-url when nobody listens', async () => {
  const url = laravel.url
  await laravel.close()
  expect(await probeLaravel({ url })).toEqual({
    sentence: `Nobody listens at ${url}/broadcasting/auth: is Laravel running, and is --laravel-url right?`,
    mayPass: true,
  })
  laravel = await FakeLaravel.start()
})

it('says so when Laravel does not answer in time', async () => {
  laravel.answers({ stall: 'before-head' })
  const found = await probeLaravel({ url: laravel.url, timeoutMs: 40 })
  expect(found?.sentence).toContain('no answer within 40 ms')
})

it.each<[FakeReply, boolean]>([
  [{ status: 404 }, false],
  [{ status: 500 }, false],
  [{ status: 200 }, false],
  [{ status: 502 }, true],
  [{ status: 503 }, true],
  [{ reset: 'before-head' }, true],
])('a Laravel that answers %j may just not be up yet: %s', async (reply, mayPass) => {
  laravel.answers(reply)
  expect(await probeLaravel({ url: laravel.url })).toMatchObject({ mayPass })
})

it('ends with its signal', async () => {
  laravel.answers({ stall: 'before-head' })
  const ending = new AbortController()
  const probed = probeLaravel({ url: laravel.url, timeoutMs: 60_000 }, ending.signal)
  await laravel.untilRequests(1)
  ending.abort()
  expect(await probed).not.toBeNull()
})
