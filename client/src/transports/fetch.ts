import { addressOf, encode, isTooLong } from './address.ts'
import { Parser } from './parser.ts'
import type { StreamEnd, StreamRequest, Transport, TransportListener } from './transport.ts'

/** A streamed answer to `fetch`, and, with the parameter `mode=poll`, one with an end. */
export const fetchStream: Transport = (request, listener) => {
  const abort = new AbortController()
  const end = (how: StreamEnd) => {
    if (abort.signal.aborted) return
    // What is left of an answer that is none of the gateway's is not read.
    abort.abort()
    listener.onEnd(how)
  }
  read(request, abort.signal, listener).then(end, () => end({}))
  return { close: () => abort.abort() }
}

async function read(request: StreamRequest, signal: AbortSignal, listener: TransportListener): Promise<StreamEnd> {
  const answer = await send(request, signal)
  const type = answer.headers.get('content-type') ?? ''
  if (answer.status !== 200 || !/^text\/event-stream\b/i.test(type)) return refusal(answer, type)
  const parser = new Parser(listener.onFrame)
  const reader = answer.body?.getReader()
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {}
    if (done) return { isWhole: true }
    parser.feed(value as Uint8Array)
  }
}

function send(request: StreamRequest, signal: AbortSignal): Promise<Response> {
  const { url, parameters, headers, withCredentials } = request
  const options: RequestInit = {
    signal,
    cache: 'no-store',
    credentials: withCredentials ? 'include' : 'same-origin',
    headers: { Accept: 'text/event-stream', ...headers },
  }
  if (!isTooLong(request)) return fetch(addressOf(request), options)
  // A form: JSON to another origin would be asked about beforehand.
  return fetch(`${url}/stream`, { ...options, method: 'POST', body: encode(parameters) })
}

async function refusal(answer: Response, type: string): Promise<StreamEnd> {
  const { status, headers } = answer
  const retryAfterMs = Number(headers.get('retry-after')) * 1000
  const body = /json/i.test(type) ? await answer.json().catch(() => null) : null
  const message: unknown = body?.error?.message
  return {
    status,
    ...(retryAfterMs > 0 && { retryAfterMs }),
    ...(typeof message === 'string' && { message }),
  }
}
