/** The user's name: who opens /as/Grace/ is Grace. */
export const user = /^\/as\/(\w+)\//.exec(location.pathname)?.[1] ?? ''

/** Asks the application to do something; what comes of it arrives as an event. */
export async function post(action: string, body = {}): Promise<void> {
  const headers = { 'Content-Type': 'application/json' }
  const { ok, status } = await fetch(action, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!ok) throw new Error(`${action} was answered ${status}; is the gateway running?`)
}
