import type { Member } from '../auth/authorizer.ts'

/** A member printed once, for all who are told of it. */
export type ListedMember = {
  readonly id: string
  /** `{"id":"7","info":…}` */
  readonly json: string
}

export function printMember({ id, info }: Member): ListedMember {
  return { id, json: `{"id":${JSON.stringify(id)},"info":${JSON.stringify(info) ?? 'null'}}` }
}

/** How long the info is when it is printed; Infinity when it cannot be, for it is nested too deeply. */
export function infoBytes(info: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(info) ?? '')
  } catch {
    // [V8] JSON.parse reads any depth, JSON.stringify gives up after some thousand levels.
    return Infinity
  }
}
