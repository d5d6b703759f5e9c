import { openStream, type StreamOptions } from './sse-client.ts'

export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The code of a refusal that has the shape every refusal has. */
  readonly code: string | undefined
  readonly message: string | undefined
}

/** Asks and reads the whole answer. */
export async function ask(url: string, options: StreamOptions = {}): Promise<Answer> {
  const client = await openStream(url, options)
  await client.ended
  const { status, headers, text } = client
  return { status, headers, text, ...refusalOf(text) }
}

/** The same for a refusal that is fit for a page: JSON, never cached, of a known shape. */
export async function refusal(url: string, options: StreamOptions = {}): Promise<Answer> {
  const answer = await ask(url, options)
  const isProper =
    answer.code !== undefined &&
    answer.headers['content-type'] === 'application/json; charset=utf-8' &&
    answer.headers['cache-control'] === 'no-store, no-transform'
  if (!isProper) throw new Error(`No proper refusal: ${JSON.stringify(answer)}`)
  return answer
}

/** The code and the sentence of a refusal, if it is one. */
export function refusalOf(text: string): Pick<Answer, 'code' | 'message'> {
  try {
    const { error } = JSON.parse(text)
    return { code: error?.code, message: error?.message }
  } catch {
    return { code: undefined, message: undefined }
  }
}
