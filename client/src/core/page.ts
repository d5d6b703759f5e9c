/**
 * Follows what happens to the page. `onAwake`: it may have been asleep or without a network. `onHide`: it goes, for ever,
 * or into the back/forward cache, where its stream would keep others waiting. `onShow`: it is back. Returns how to stop.
 */
export function followPage(onAwake: () => void, onHide: () => void, onShow: () => void): () => void {
  const page = globalThis as unknown as EventTarget & { document?: Document }
  const { document } = page
  const stop = new AbortController()
  const follow = (target: EventTarget | undefined, name: string, listener: () => void) =>
    target?.addEventListener?.(name, listener, stop)
  follow(page, 'online', onAwake)
  follow(page, 'pagehide', onHide)
  follow(page, 'pageshow', onShow)
  follow(document, 'resume', onAwake)
  follow(document, 'visibilitychange', () => {
    if (document?.visibilityState === 'visible') onAwake()
  })
  return () => stop.abort()
}
