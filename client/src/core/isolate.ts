type Listener = { onError(error: Error): void }

/** The same listener, which never throws: a fault in the page's code must not end the stream it listens to. */
export function isolate<T extends Listener>(listener: T): T {
  return new Proxy(listener, {
    get: (target, name) => {
      const call = Reflect.get(target, name) as (...told: unknown[]) => unknown
      return (...told: unknown[]) => {
        try {
          return call.apply(target, told)
        } catch (error) {
          report(target, error)
        }
      }
    },
  })
}

function report(listener: Listener, error: unknown): void {
  try {
    listener.onError(error as Error)
  } catch {
    console.error(error)
  }
}
