export type PageHooks = {
  /** The page may have been asleep or without a network. */
  onAwake(): void
  /** It goes: for ever, or into the back/forward cache, where its stream would keep others waiting. */
  onHide(): void
  /** It is back. */
  onShow(): void
}

/** Follows what happens to the page. Returns how to stop that. */
export function followPage({ onAwake, onHide, onShow }: PageHooks): () => void {
  const page = globalThis as unknown as EventTarget & { document?: Document }
  const seen = () => page.document?.visibilityState === 'visible' && onAwake()
  const listeners: [EventTarget | undefined, string, () => void][] = [
    [page, 'online', onAwake],
    [page, 'pagehide', onHide],
    [page, 'pageshow', onShow],
    [page.document, 'visibilitychange', seen],
    [page.document, 'resume', onAwake],
  ]
  for (const [target, name, listener] of listeners) target?.addEventListener?.(name, listener)
  return () => {
    for (const [target, name, listener] of listeners) target?.removeEventListener?.(name, listener)
  }
}
