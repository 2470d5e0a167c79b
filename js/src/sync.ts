// Replication both ways, as one handle over the two.

import { Emitter } from './emitter.js'
import type { FirkinError } from './errors.js'
import { Queue } from './queue.js'
import type { Replication } from './replication.js'
import type {
  ReplicationChange,
  ReplicationState,
  ReplicationStatus,
  SyncEvents,
  SyncResult,
} from './replication-types.js'

/** What the whole is doing, if the halves do different things: the first of these that one of them does. */
const STATES: ReplicationState[] = ['error', 'offline', 'active', 'idle', 'cancelled', 'complete']

export class Sync extends Emitter<SyncEvents> implements PromiseLike<SyncResult>, AsyncIterable<ReplicationChange> {
  readonly push: Replication
  readonly pull: Replication
  readonly #end: Promise<SyncResult>

  constructor(push: Replication, pull: Replication) {
    super()
    this.push = push
    this.pull = pull
    for (const half of [push, pull]) this.#listen(half)
    this.#end = this.#run()
    this.#end.catch(() => {})
  }

  /** How far both have come together; `lastSeq` is the peer's. Of the halves: `push.status` and `pull.status`. */
  get status(): ReplicationStatus {
    const [push, pull] = [this.push.status, this.pull.status]
    const pending = push.pending === null && pull.pending === null ? null : (push.pending ?? 0) + (pull.pending ?? 0)
    return {
      state: STATES.find((state) => push.state === state || pull.state === state) ?? 'active',
      pending,
      read: push.read + pull.read,
      written: push.written + pull.written,
      bytesRead: push.bytesRead + pull.bytesRead,
      bytesWritten: push.bytesWritten + pull.bytesWritten,
      lastSeq: pull.lastSeq,
      error: push.error ?? pull.error,
    }
  }

  /** Ends both halves. */
  cancel(): void {
    this.push.cancel()
    this.pull.cancel()
  }

  /** Completes once all that either side knew when this was called has moved; rejects if a half fails first. */
  async settled(): Promise<void> {
    await Promise.all([this.push.settled(), this.pull.settled()])
  }

  // biome-ignore lint/suspicious/noThenProperty: a handle can be awaited, as PouchDB's can.
  then<Fulfilled = SyncResult, Rejected = never>(
    onFulfilled?: ((result: SyncResult) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#end.then(onFulfilled, onRejected)
  }

  catch<Rejected = never>(
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<SyncResult | Rejected> {
    return this.#end.catch(onRejected)
  }

  finally(onSettled?: (() => void) | null): Promise<SyncResult> {
    return this.#end.finally(onSettled)
  }

  /** The batches that either half writes from now on. Leaving the loop does not end the replication. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReplicationChange> {
    const hear = (change: ReplicationChange) => queue.push(change)
    const queue: Queue<ReplicationChange> = new Queue(() => this.off('change', hear))
    this.on('change', hear)
    this.#end.then(
      () => queue.end(),
      (error) => queue.fail(error),
    )
    return queue
  }

  async #run(): Promise<SyncResult> {
    try {
      const [push, pull] = await Promise.all([this.push, this.pull])
      const result = { push, pull }
      this.emit('complete', result)
      return result
    } catch (error) {
      // One half without the other would look like a sync that works.
      this.cancel()
      this.emit('error', error as FirkinError)
      throw error
    }
  }

  #listen(half: Replication): void {
    half.on('change', (change) => this.emit('change', change))
    half.on('denied', (denied) => this.emit('denied', denied))
    half.on('checkpoint', (checkpoint) => this.emit('checkpoint', checkpoint))
    half.on('active', () => this.emit('active', undefined))
    half.on('paused', (error) => {
      // Of a pause without an error there is only one to tell of: when both halves have come to rest.
      if (error !== undefined || this.status.state === 'idle') this.emit('paused', error)
    })
  }
}
