import type { Decision } from '../../src/auth/authorizer.ts'
import { deny } from '../../src/auth/denial.ts'
import { LaravelAuthorizer } from '../../src/auth/laravel.ts'
import { type AuthorizerHarness, authorizerContract, type Told } from '../contract/authorizer.ts'
import { FakeAuthorizer } from '../support/fake-authorizer.ts'
import { FakeLaravel, type FakeReply, GRANT, presenceGrant } from '../support/fake-laravel.ts'

authorizerContract('FakeAuthorizer', async (): Promise<AuthorizerHarness> => {
  const authorizer = new FakeAuthorizer()
  return {
    authorizer,
    tell: (answers) => authorizer.decides(({ channel }) => decisionOf(answers[channel.name])),
    hold: () => authorizer.hold(),
    asked: () =>
      authorizer.questions.map(({ channel, socketId, credentials }) => {
        return { channel: channel.name, socketId, cookie: credentials.headers.cookie }
      }),
    untilAsked: (count) => authorizer.untilQuestions(count),
    close: () => authorizer.stop(),
  }
})

authorizerContract('LaravelAuthorizer', async (): Promise<AuthorizerHarness> => {
  const laravel = await FakeLaravel.start()
  const authorizer = new LaravelAuthorizer({ url: laravel.url }, { wait: async () => {} })
  return {
    authorizer,
    tell: (answers) => laravel.answers(({ channel }) => replyOf(answers[channel])),
    hold: () => laravel.hold(),
    asked: () =>
      laravel.requests.map(({ channel, socketId, headers }) => ({ channel, socketId, cookie: headers.cookie })),
    untilAsked: (count) => laravel.untilRequests(count),
    close: async () => {
      await authorizer.stop()
      await laravel.close()
    },
  }
})

const CODES = { 401: 'unauthenticated', 403: 'forbidden', 419: 'session_expired' } as const

function decisionOf(told: Told | undefined): Decision {
  if (told === undefined) return deny('forbidden')
  if ('grant' in told) return { allowed: true, ...told.grant }
  if ('fail' in told) return deny('authorizer_unavailable', { retryAfterMs: 1_000 })
  return deny(CODES[told.refuse.status], { message: told.refuse.message })
}

function replyOf(told: Told | undefined): FakeReply {
  if (told === undefined) return { status: 403 }
  if ('fail' in told) return { status: 503 }
  if ('refuse' in told) return { status: told.refuse.status, body: JSON.stringify({ message: told.refuse.message }) }
  const { member, sharedSecret } = told.grant
  if (member !== undefined) return presenceGrant(member.id, member.info)
  return sharedSecret === undefined ? GRANT : { body: JSON.stringify({ auth: 'k:s', shared_secret: sharedSecret }) }
}
