import { addressOf, formOf, isTooLong } from './address.ts'
import { parser } from './parser.ts'
import { reasonOf, send } from './send.ts'
import type { StreamEnd, StreamRequest, Transport, TransportListener } from './transport.ts'

/** A streamed answer to `fetch`, and, with the parameter `mode=poll`, one with an end. */
export const fetchStream: Transport = (request, listener) => {
  const abort = new AbortController()
  const { signal } = abort
  const end = (how: StreamEnd) => {
    if (signal.aborted) return
    // What is left of an answer that is none of the gateway's is not read.
    abort.abort()
    listener.onEnd(how)
  }
  read(request, signal, listener).then(end, () => end({}))
  return () => abort.abort()
}

async function read(request: StreamRequest, signal: AbortSignal, listener: TransportListener): Promise<StreamEnd> {
  const init: RequestInit = { signal, cache: 'no-store', headers: { Accept: 'text/event-stream' } }
  const answer = await (isTooLong(request)
    ? // A form: JSON to another origin would be asked about beforehand.
      send(`${request.url}/stream`, request, { ...init, method: 'POST', body: formOf(request) })
    : send(addressOf(request), request, init))
  listener.onAnswer()
  const { status, headers, body } = answer
  if (status !== 200) {
    // In whole seconds, and the same for all who were refused: they must not come back together.
    const retryAfterMs = Number(headers.get('retry-after')) * (1000 + Math.random() * 250) || undefined
    return { status, retryAfterMs, message: await reasonOf(answer) }
  }
  if (!/^text\/event-stream\b/i.test(`${headers.get('content-type')}`)) return { status }
  const feed = parser(listener.onFrame)
  const reader = body?.getReader()
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {}
    // What was on its way when it was given up is told to nobody.
    if (done || signal.aborted) return { isWhole: true }
    feed(value as Uint8Array)
  }
}
