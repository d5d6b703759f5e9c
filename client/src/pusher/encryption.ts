/** What we use of tweetnacl. */
export type Nacl = {
  readonly secretbox: { open(box: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array | null }
}

export const NO_NACL =
  "Encrypted channels need tweetnacl: `npm install tweetnacl`, `import nacl from 'tweetnacl'`, and the option `nacl`."

export function isEncrypted(channel: string): boolean {
  return channel.startsWith('private-encrypted-')
}

/** Reads what Laravel has sealed; throws where that is not possible. JSON is parsed, another text is as it is. */
export function unseal(data: unknown, secret: string | null, nacl: Nacl | null | undefined, what: string): unknown {
  const bytes = open({ ...(data as Record<string, string> | null) }, secret ?? '', nacl as Nacl)
  if (bytes === null) throw new Error(`${what} was left out: it is not encrypted with the key of this channel.`)
  const text = new TextDecoder().decode(bytes)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

// tweetnacl throws at a key or a nonce that cannot be one.
function open({ ciphertext = '', nonce = '' }, secret: string, { secretbox }: Nacl): Uint8Array | null {
  try {
    return secretbox.open(decode(ciphertext), decode(nonce), decode(secret))
  } catch {
    return null
  }
}

function decode(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}
