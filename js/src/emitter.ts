// Events by name: `on` and `off`, as PouchDB's users know them.

type Listener = (detail: never) => void

/** Events whose names and details `Events` lists. */
export class Emitter<Events> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>()

  /** Calls `listener` at every event of this name. */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): this {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return this
  }

  /** Ends what `on` began. */
  off<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): this {
    this.#listeners.get(name)?.delete(listener)
    return this
  }

  protected listens(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }

  /** As `emit`; completes once what each listener returned has settled, and fails as the first of those that fail. */
  protected async deliver<Name extends keyof Events>(name: Name, detail: Events[Name]): Promise<void> {
    const listeners = [...(this.#listeners.get(name) ?? [])] as ((detail: Events[Name]) => unknown)[]
    for (const outcome of await Promise.allSettled(listeners.map(async (listener) => listener(detail)))) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
  }

  /** A listener that throws is reported as an uncaught error, and keeps nobody else from hearing. */
  protected emit<Name extends keyof Events>(name: Name, detail: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        ;(listener as (detail: Events[Name]) => void)(detail)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
