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
