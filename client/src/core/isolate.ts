type Listener = { onError(error: Error): void }

/** The same listener, which never throws or rejects: a fault in the page's code must not end the stream it listens to. */
export function isolate<T extends Listener>(listener: T): T {
  const report = (error: Error) => {
    try {
      listener.onError(error)
    } catch {
      console.error(error)
    }
  }
  return new Proxy(listener, {
    get: (target, name) => {
      const value = target[name as keyof T] as unknown
      if (typeof value !== 'function') return value
      return (...told: unknown[]) => {
        try {
          const answer = value.apply(target, told)
          return answer instanceof Promise ? answer.catch(report) : answer
        } catch (error) {
          report(error as Error)
        }
      }
    },
  })
}
