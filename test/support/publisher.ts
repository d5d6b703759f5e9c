import { type AppCredentials, signRequest } from '../../src/http/pusher-api/signature.ts'
import { type Answer, ask } from './ask.ts'

export const LOCAL_APP: AppCredentials = { id: 'local', key: 'local', secret: 'local' }

export type PublishChange = {
  path?: string
  /** What goes out; the signature is of `signed`, else of this. */
  body?: string
  signed?: string
  app?: AppCredentials
  now?: number
  method?: string
  parameters?: Record<string, string>
  /** Changes the query after it was signed. */
  query?: (query: URLSearchParams) => unknown
  headers?: Record<string, string>
}

export const EVENT = { name: 'App\\Events\\E', data: '{"a":1}', channels: ['orders'] }

/** Publishes as Laravel's pusher driver does, right or wrong as the test wants. */
export function publishByHttp(url: string, event: unknown, change: PublishChange = {}): Promise<Answer> {
  const { app = LOCAL_APP, now = Date.now(), method = 'POST', headers = {}, parameters = {} } = change
  const path = change.path ?? `/apps/${app.id}/events`
  const body = change.body ?? JSON.stringify(event)
  const query = signRequest({ method, path, body: change.signed ?? body, app, now, parameters })
  change.query?.(query)
  return ask(`${url}${path}?${query}`, { method, headers: { 'content-type': 'application/json', ...headers }, body })
}

/** Asks what Pusher's API says about channels: `/channels`, below `/apps/{id}`. */
export function askApi(url: string, path: string, change: PublishChange = {}): Promise<Answer> {
  const { app = LOCAL_APP } = change
  return publishByHttp(url, null, { method: 'GET', body: '', ...change, path: `/apps/${app.id}${path}` })
}
