export type Metadata = { readonly user_id?: string }

export type Listener<T = unknown> = (data: T, metadata?: Metadata) => unknown

export type GlobalListener = (event: string, data: unknown) => unknown

type Bound = { readonly name: string | null; readonly listener: unknown; readonly context: unknown }

/** Who listens to what, as in pusher-js. What is bound or unbound during an event changes the next one. */
export class Dispatcher {
  /** Vue is to leave objects with private state as they are. */
  readonly __v_skip = true
  /** Listeners to everything have no name. */
  #bound: readonly Bound[] = []

  bind<T = unknown>(name: string, listener: Listener<T>, context?: unknown): this {
    this.#add({ name, listener, context })
    return this
  }

  bind_global(listener: GlobalListener): this {
    this.#add({ name: null, listener, context: null })
    return this
  }

  /** Without a name on every event, without a listener all of them; a context narrows it further. */
  unbind<T = unknown>(name?: string | null, listener?: Listener<T> | null, context?: unknown): this {
    this.#remove(
      (bound) =>
        bound.name !== null &&
        (!name || name === bound.name) &&
        (!listener || listener === bound.listener) &&
        (!context || context === bound.context),
    )
    return this
  }

  unbind_global(listener?: GlobalListener): this {
    this.#remove((bound) => bound.name === null && (!listener || listener === bound.listener))
    return this
  }

  unbind_all(): this {
    this.#remove(() => true)
    return this
  }

  /** Without data and metadata listeners get no argument at all. */
  emit(event: string, data?: unknown, metadata?: Metadata): this {
    const bound = this.#bound
    const args = metadata ? [data, metadata] : data ? [data] : []
    for (const one of bound) if (one.name === null) call(one, [event, data])
    for (const one of bound) if (one.name === event) call(one, args)
    return this
  }

  protected onBind(_name: string | null): void {}

  protected onUnbind(_isLast: boolean): void {}

  /** Tells the newest listener alone, a moment later, unless it is gone by then. */
  protected tellNewest(data: () => unknown): void {
    const newest = this.#bound.at(-1) as Bound
    queueMicrotask(() => {
      const now = data()
      if (now && this.#bound.includes(newest)) call(newest, [now])
    })
  }

  #add(bound: Bound): void {
    this.#bound = [...this.#bound, bound]
    this.onBind(bound.name)
  }

  #remove(isMeant: (bound: Bound) => boolean): void {
    this.#bound = this.#bound.filter((bound) => !isMeant(bound))
    this.onUnbind(this.#bound.length === 0)
  }
}

// The page's error tracking is to see what its listener threw; the other listeners have no part in it.
function call({ listener, context }: Bound, args: unknown[]): void {
  try {
    ;(listener as (...args: unknown[]) => unknown).apply(context || globalThis, args)
  } catch (error) {
    ;(globalThis.reportError ?? console.error)(error)
  }
}
