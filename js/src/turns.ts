// The turns of the tabs of a database: whoever holds its Web Lock leads.
//
// The platform gives the lock to one of those who wait when its holder ends, however that ends. From one that is frozen it is
// stolen; of several that are about to, one does.

const lockName = (database: string) => `firkin:${database}`

/** Runs `work` while nobody leads. */
export function alone(database: string, work: () => Promise<void>): Promise<void> {
  return navigator.locks.request(lockName(database), work)
}

export class Turns {
  readonly #database: string
  /** Aborted when it waits for its turn no longer. */
  #waiting = new AbortController()
  /** Called once it has its turn, which it takes from another. */
  #stealing: (() => void) | undefined

  constructor(database: string) {
    this.#database = database
  }

  /** Calls `lead` whenever it is this one's turn, as long as `goesOn`; `lost` when another has taken the turn. */
  async take(goesOn: () => boolean, lead: () => Promise<void>, lost: () => void): Promise<void> {
    const led = () => {
      this.#stealing?.()
      this.#stealing = undefined
      return lead()
    }
    while (goesOn()) {
      this.#waiting = new AbortController()
      const how = this.#stealing === undefined ? { signal: this.#waiting.signal } : { steal: true }
      try {
        await navigator.locks.request(lockName(this.#database), how, led)
      } catch (error) {
        // The lock was stolen, or this one is about to steal it.
        if (!(error instanceof DOMException && error.name === 'AbortError')) throw error
        lost()
      }
    }
  }

  /** Takes the turn from whoever has it, if `isDue` still once nobody else is about to. */
  async steal(isDue: () => boolean): Promise<void> {
    await navigator.locks.request(`${lockName(this.#database)}:steal`, { ifAvailable: true }, async (turn) => {
      if (turn === null || !isDue()) return
      await new Promise<void>((stolen) => {
        this.#stealing = stolen
        this.#waiting.abort()
      })
    })
  }

  /** Waits for its turn no longer. */
  giveUp(): void {
    this.#waiting.abort()
  }
}
