import type { StreamRequest } from './transport.ts'

/** A request in the name of who asks. */
export function send(
  address: string,
  { headers, withCredentials }: Omit<StreamRequest, 'parameters'>,
  init: RequestInit,
): Promise<Response> {
  return fetch(address, {
    ...init,
    credentials: withCredentials ? 'include' : 'same-origin',
    headers: { ...headers, ...init.headers },
  })
}

/** What the gateway said about a refusal. */
export async function reasonOf(answer: Response): Promise<string | undefined> {
  return (await answer.json().catch(() => null))?.error?.message
}
