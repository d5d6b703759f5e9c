/** What `publish` sends, by Redis or by HTTP. */
export type Message = {
  readonly channels: readonly string[]
  readonly event: string
  /** JSON, as it was written: no number is read and printed again. */
  readonly data: string
  /** The page that shall not hear it. */
  readonly socketId: string | null
}

/** What became of it; `failed` when it is certain that nobody heard it. */
export type Outcome = { readonly sentence: string; readonly failed: boolean }
