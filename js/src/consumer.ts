// A consumer of the changes feed, while it is read: its place, which the database keeps, moves on as changes are handled.
//
// The place is saved after every hundred changes, a moment after the first that is not saved, and when the reader leaves or
// has come to the end. **It never lies beyond a change that was not handled**, so what a crash leaves unsaved comes
// again, and nothing is left out. A consumer has one reader at a time, in all tabs: the
// browser's locks see to that, and give up the turn of a tab that dies. (The instance that a database in memory belongs
// to sees to it by itself.)

import type { Connection } from './connection.js'
import { deferred } from './deferred.js'
import { conflict } from './errors.js'

/** After a crash no more changes than this come again. */
const UNSAVED_MAX = 100

/** For how long a place may wait to be saved. */
const UNSAVED_MS_MAX = 250

/** For how long another reader may go on before a new one is refused: that of a page that is just being left. */
const GRACE_MS = 1000

/** The consumers that are read of each database in memory. */
const readInMemory = new WeakMap<Connection, Set<string>>()

export class Consumer {
  /** Where its reader goes on. */
  readonly position: string
  readonly #connection: Connection
  readonly #name: string
  readonly #giveUpTurn: () => void
  /** The latest change that was handled, if its sequence is not saved. */
  #unsaved: string | undefined
  #unsavedCount = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #saving: Promise<unknown> = Promise.resolve()
  #isBehind = false

  private constructor(connection: Connection, name: string, position: string, giveUpTurn: () => void) {
    this.#connection = connection
    this.#name = name
    this.position = position
    this.#giveUpTurn = giveUpTurn
  }

  /** Has the database remember a consumer from now on, if it does not yet. It will begin at `since`. */
  static async make(connection: Connection, name: string, since: string | number): Promise<string> {
    return ((await connection.call('openConsumer', { name, since })) as { seq: string }).seq
  }

  /** Takes the consumer's turn; 409 where somebody else reads. `end` has to follow. */
  static async begin(connection: Connection, name: string, since: string | number): Promise<Consumer> {
    const giveUpTurn = await takeTurn(connection, name)
    try {
      return new Consumer(connection, name, await Consumer.make(connection, name, since), giveUpTurn)
    } catch (error) {
      giveUpTurn()
      throw error
    }
  }

  /** All changes up to `seq` are handled. Waits where too many of them are not saved, and fails where they cannot be. */
  async handled(seq: string): Promise<void> {
    this.#unsaved = seq
    this.#unsavedCount += 1
    if (this.#unsavedCount >= UNSAVED_MAX || this.#isBehind) return this.#save()
    this.#timer ??= setTimeout(() => void this.#saveUnasked(), UNSAVED_MS_MAX)
  }

  /** Saves the place, and gives up the turn. */
  async end(): Promise<void> {
    // The reader leaves for a reason of its own. What could not be saved comes again.
    await this.#saveUnasked()
    this.#giveUpTurn()
  }

  async #saveUnasked(): Promise<void> {
    await this.#save().catch(() => {
      // The next change that is handled brings this to light, if it lasts.
      this.#isBehind = true
    })
  }

  #save(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const saved = this.#saving.then(() => this.#write())
    this.#saving = saved.catch(() => {})
    return saved
  }

  async #write(): Promise<void> {
    const seq = this.#unsaved
    if (seq === undefined) return
    await this.#connection.call('acknowledge', { name: this.#name, seq })
    this.#isBehind = false
    if (this.#unsaved !== seq) return
    this.#unsaved = undefined
    this.#unsavedCount = 0
  }
}

/** The function returned gives the turn up. */
async function takeTurn(connection: Connection, consumer: string): Promise<() => void> {
  const taken = () => conflict(`the consumer ${JSON.stringify(consumer)} has another reader`)
  if (connection.sharedName === undefined) {
    const read = readInMemory.get(connection) ?? new Set()
    readInMemory.set(connection, read)
    if (read.has(consumer)) throw taken()
    read.add(consumer)
    return () => read.delete(consumer)
  }
  const name = `firkin-consumer:${JSON.stringify([connection.sharedName, consumer])}`
  const turn = deferred<() => void>()
  const waiting = new AbortController()
  const patience = setTimeout(() => waiting.abort(), GRACE_MS)
  const untilGivenUp = () => new Promise<void>((giveUp) => turn.resolve(giveUp))
  navigator.locks
    .request(name, { signal: waiting.signal }, untilGivenUp)
    .catch((error) => turn.reject(waiting.signal.aborted ? taken() : error))
  return turn.promise.finally(() => clearTimeout(patience))
}
