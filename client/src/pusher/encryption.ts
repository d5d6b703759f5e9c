/** What we use of tweetnacl. */
export type Nacl = {
  readonly secretbox: { open(box: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array | null }
}

export const NO_NACL = 'Encrypted channels: `npm install tweetnacl` and set the option `nacl`'

export function isEncrypted(channel: string): boolean {
  return channel.startsWith('private-encrypted-')
}

/** Reads what Laravel has sealed; throws where that is not possible. JSON is parsed, another text is as it is. */
export function unseal(data: unknown, secret: string | null, nacl: Nacl | null | undefined, what: string): unknown {
  let bytes: Uint8Array | null = null
  // tweetnacl throws at a key or a nonce that cannot be one.
  try {
    const { ciphertext, nonce } = data as Record<'ciphertext' | 'nonce', string>
    bytes = (nacl as Nacl).secretbox.open(decode(ciphertext), decode(nonce), decode(secret as string))
  } catch {}
  if (bytes === null)
    throw new Error(
      `${what} could not be decrypted: was Laravel's master key changed? Reload, or disconnect() and connect()`,
    )
  const text = new TextDecoder().decode(bytes)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function decode(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}
