// The changes feed as the app holds it: awaited, iterated or listened to.
//
// Each of these reads the feed for itself, page by page, from where `since` said when the feed was made. The next page
// is read when the last has been taken, so a slow reader holds one page and not the database. A live reader that has
// reached the end waits until it is told that something has changed, and reads on from the last sequence it saw; what
// it is told carries no documents, so nothing is lost when that comes late or twice.
//
// A feed with a consumer goes on where that consumer was. **A change counts as handled when its reader asks for the next,
// or when what its listeners returned is fulfilled**, and the next one is not handed out before. A reader that fails, or
// leaves its loop, has not handled the change that it was given last.

import type { Connection } from './connection.js'
import { Consumer } from './consumer.js'
import { Emitter } from './emitter.js'
import { aborted, badRequest, type FirkinError } from './errors.js'
import type { Change, ChangesQuery, ChangesResult } from './types.js'

const BATCH_SIZE = 250

export interface ChangesEvents<Doc> {
  change: Change<Doc>
  /** The end was reached or, of a live feed, it was cancelled. `results` is empty of a live feed. */
  complete: ChangesResult<Doc>
  error: FirkinError
}

/** Where a reader is. */
interface Place {
  last_seq: string
}

interface Page<Doc> extends ChangesResult<Doc> {
  pending: number
}

export class ChangesFeed<Doc>
  extends Emitter<ChangesEvents<Doc>>
  implements PromiseLike<ChangesResult<Doc>>, AsyncIterable<Change<Doc>>
{
  readonly #connection: Connection
  readonly #query: ChangesQuery
  readonly #start: Promise<string | number>
  readonly #cancelled = new AbortController()
  #result: Promise<ChangesResult<Doc>> | undefined
  #telling = false

  constructor(connection: Connection, query: ChangesQuery) {
    super()
    this.#connection = connection
    this.#query = query
    this.#start = this.#startingPoint()
    this.#start.catch(() => {})
    const { signal } = query
    signal?.addEventListener('abort', () => this.cancel())
  }

  /** Ends the feed: a loop over it ends, `complete` is told, a promise settles with what was read. */
  cancel(): void {
    this.#cancelled.abort()
  }

  override on<Name extends keyof ChangesEvents<Doc>>(
    name: Name,
    listener: (detail: ChangesEvents<Doc>[Name]) => void,
  ): this {
    // Nothing counts as handled by those who are not told of changes.
    if (!this.#telling && (name === 'change' || this.#query.consumer === undefined)) {
      this.#telling = true
      // Those who are added in the same turn hear it all.
      queueMicrotask(() => void this.#tell())
    }
    return super.on(name, listener)
  }

  // biome-ignore lint/suspicious/noThenProperty: a feed can be awaited, as PouchDB's can.
  then<Fulfilled = ChangesResult<Doc>, Rejected = never>(
    onFulfilled?: ((result: ChangesResult<Doc>) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    this.#result ??= this.#awaited()
    return this.#result.then(onFulfilled, onRejected)
  }

  catch<Rejected = never>(
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<ChangesResult<Doc> | Rejected> {
    return this.then(undefined, onRejected)
  }

  finally(onSettled?: (() => void) | null): Promise<ChangesResult<Doc>> {
    return this.then().finally(onSettled)
  }

  [Symbol.asyncIterator](): AsyncGenerator<Change<Doc>, void, undefined> {
    return this.#changes({ last_seq: '' })
  }

  async #tell(): Promise<void> {
    try {
      this.emit('complete', await (this.#query.consumer === undefined ? this.#told() : this.#handled()))
    } catch (error) {
      // For listeners, a feed whose signal was aborted before it began is one that was cancelled.
      if ((error as Error).name === 'AbortError') return this.emit('complete', { results: [], last_seq: '' })
      if (!this.listens('error')) throw error
      this.emit('error', error as FirkinError)
    }
  }

  async #awaited(): Promise<ChangesResult<Doc>> {
    if (this.#query.consumer === undefined) return this.#told()
    throw badRequest('a feed with a consumer is iterated or listened to: who awaits it cannot say what is handled')
  }

  async #told(): Promise<ChangesResult<Doc>> {
    const [results, place]: [Change<Doc>[], Place] = [[], { last_seq: '' }]
    for await (const change of this.#changes(place)) {
      if (!this.#query.live) results.push(change)
      this.emit('change', change)
    }
    return { results, ...place }
  }

  /** Hands each change to the listeners once they are done with the last. */
  async #handled(): Promise<ChangesResult<Doc>> {
    const place = { last_seq: '' }
    for await (const change of this.#changes(place)) {
      if (!this.listens('change')) break
      await this.deliver('change', change)
    }
    return { results: [], ...place }
  }

  /** The changes one by one. */
  async *#changes(place: Place): AsyncGenerator<Change<Doc>, void, undefined> {
    const consumer = await this.#consumer()
    try {
      for await (const page of this.#pages(consumer)) {
        for (const change of page.results) {
          if (this.#cancelled.signal.aborted) return
          yield change
          place.last_seq = change.seq
          await consumer?.handled(change.seq)
        }
        // What a filter left out is passed.
        if (place.last_seq !== page.last_seq) await consumer?.handled(page.last_seq)
        place.last_seq = page.last_seq
      }
    } finally {
      await consumer?.end()
    }
  }

  async #consumer(): Promise<Consumer | undefined> {
    const [start, name] = [await this.#start, this.#query.consumer]
    return name === undefined ? undefined : Consumer.begin(this.#connection, name, start)
  }

  async *#pages(consumer: Consumer | undefined): AsyncGenerator<Page<Doc>, void, undefined> {
    const { live, limit = Number.POSITIVE_INFINITY, batch_size = BATCH_SIZE } = this.#query
    const { signal } = this.#cancelled
    const alarm = new Alarm(this.#connection, signal)
    try {
      let since = consumer?.position ?? (await this.#start)
      let left = limit
      while (!signal.aborted) {
        alarm.set()
        const page = await this.#read(since, Math.min(left, batch_size))
        since = page.last_seq
        left -= page.results.length
        yield page
        if (left <= 0) return
        if (page.pending > 0) continue
        if (!live) return
        await alarm.rings()
      }
    } finally {
      alarm.stop()
    }
  }

  /** One page. A feed from the end to the start is read as one, since a page of it cannot be gone on from. */
  async #read(since: string | number, limit: number): Promise<Page<Doc>> {
    const { descending, include_docs, conflicts, attachments, style, selector, doc_ids } = this.#query
    const bounded = descending ? this.#query.limit : limit
    const asked = { since, limit: bounded, descending, include_docs, conflicts, attachments, style, selector, doc_ids }
    const page = (await this.#connection.call('changes', asked)) as Page<Doc>
    return descending ? { ...page, pending: 0 } : page
  }

  async #startingPoint(): Promise<string | number> {
    const { since = 0, live, descending, consumer, batch_size = BATCH_SIZE, signal } = this.#query
    if (signal?.aborted) throw aborted(signal)
    if (live && descending) throw badRequest('a live feed cannot be descending')
    if (consumer !== undefined && descending) throw badRequest('a feed with a consumer cannot be descending')
    if (!(batch_size >= 1)) throw badRequest('batch_size is a number of changes, 1 or more')
    // What `now` means is settled here, and not when somebody begins to read.
    if (consumer !== undefined) return Consumer.make(this.#connection, consumer, since)
    if (since !== 'now') return since
    return ((await this.#connection.call('info', {})) as { update_seq: string }).update_seq
  }
}

/** Rings when something may have changed since it was set. */
class Alarm {
  readonly #connection: Connection
  readonly #signal: AbortSignal
  readonly #ring = () => {
    this.#rung = true
    this.#wake()
  }
  #rung = false
  #wake: () => void = () => {}

  constructor(connection: Connection, signal: AbortSignal) {
    this.#connection = connection
    this.#signal = signal
    // What changed while the lead passed from one tab to another may not have been told.
    connection.on('changed', this.#ring).on('leader', this.#ring).on('closed', this.#ring)
    signal.addEventListener('abort', this.#ring)
  }

  set(): void {
    this.#rung = false
  }

  async rings(): Promise<void> {
    if (this.#rung || this.#signal.aborted) return
    await new Promise<void>((wake) => {
      this.#wake = wake
    })
  }

  stop(): void {
    this.#connection.off('changed', this.#ring).off('leader', this.#ring).off('closed', this.#ring)
    this.#signal.removeEventListener('abort', this.#ring)
  }
}
