// A one-way replication as the app holds it. The work is done by the engine, wherever it runs.
//
// A handle is awaited for the end, iterated for the batches on the way, or listened to. One that was cancelled
// completes, with `ok: false`; one that failed rejects, unless nobody asks: then `status.error` says why.

import type { Connection } from './connection.js'
import { Emitter } from './emitter.js'
import { badRequest, type FirkinError } from './errors.js'
import { Exchanges } from './exchanges.js'
import { uniqueNumber } from './number.js'
import { type Way, wayTo } from './peers.js'
import { type EngineProgress, type EngineStatus, Progress } from './progress.js'
import { Queue } from './queue.js'
import type {
  Direction,
  Peer,
  ReplicationChange,
  ReplicationEvents,
  ReplicationOptions,
  ReplicationResult,
  ReplicationStatus,
} from './replication-types.js'
import { onWake } from './wakes.js'

export class Replication
  extends Emitter<ReplicationEvents>
  implements PromiseLike<ReplicationResult>, AsyncIterable<ReplicationChange>
{
  readonly direction: Direction
  readonly #connection: Connection
  readonly #options: ReplicationOptions
  readonly #id = uniqueNumber()
  readonly #progress = new Progress()
  readonly #queues = new Set<Queue<ReplicationChange>>()
  readonly #end: Promise<ReplicationResult>
  readonly #cancelling = new AbortController()
  #cancelled = false
  #ended = false

  /** Begins at once. */
  constructor(connection: Connection, direction: Direction, peer: Peer, options: ReplicationOptions = {}) {
    super()
    this.#connection = connection
    this.direction = direction
    this.#options = options
    this.#end = this.#run(peer)
    this.#end.catch(() => {})
    const { signal } = options
    if (signal?.aborted) this.cancel()
    else signal?.addEventListener('abort', () => this.cancel())
  }

  /** How far it has come. */
  get status(): ReplicationStatus {
    return this.#progress.status
  }

  /** Ends it, once the batch that is being written is written. */
  cancel(): void {
    if (this.#cancelled || this.#ended) return
    this.#cancelled = true
    this.#cancelling.abort()
    this.#connection.call('cancelReplication', { id: this.#id }, { replication: this.#id }).catch(() => {})
  }

  /** Completes once all that either side knew when this was called has moved; rejects if it fails first. */
  async settled(): Promise<void> {
    const at_ms = Date.now()
    while (!this.#ended) {
      // Listening comes before looking, so that a pause between the two is not missed.
      const pause = this.#nextPause()
      if (await this.#upToDate(at_ms)) break
      await pause
    }
    const { state, error } = this.status
    if (state === 'error') throw error
  }

  // biome-ignore lint/suspicious/noThenProperty: a handle can be awaited, as PouchDB's can.
  then<Fulfilled = ReplicationResult, Rejected = never>(
    onFulfilled?: ((result: ReplicationResult) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#end.then(onFulfilled, onRejected)
  }

  catch<Rejected = never>(
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<ReplicationResult | Rejected> {
    return this.#end.catch(onRejected)
  }

  finally(onSettled?: (() => void) | null): Promise<ReplicationResult> {
    return this.#end.finally(onSettled)
  }

  /** The batches that are written from now on. Leaving the loop does not end the replication. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReplicationChange> {
    const queue: Queue<ReplicationChange> = new Queue(() => this.#queues.delete(queue))
    this.#queues.add(queue)
    this.#end.then(
      () => queue.end(),
      (error) => queue.fail(error),
    )
    return queue
  }

  async #run(peer: Peer): Promise<ReplicationResult> {
    const hear = (progress: EngineProgress) => {
      if (progress.id === this.#id) this.#happened(progress)
    }
    let exchanges: Exchanges | undefined
    let way: Way | undefined
    const restarted = () => {
      this.#progress.anotherRun()
      exchanges?.endAll()
    }
    this.#connection.on('replication', hear).on('leader', restarted)
    const endQuestions = this.#connection.onQuestions(this.#id, (name, detail, body) => {
      if (name === 'headers') return this.#headers(detail.unauthorized === true)
      if (exchanges === undefined) throw badRequest(`there is no answer to the question ${name}`)
      return exchanges.answer(name, detail, body)
    })
    const endWakes = onWake(() => void this.#connection.call('wakeReplications', {}).catch(() => {}))
    try {
      // Listeners are added before anything happens.
      await undefined
      if (this.#cancelled) return this.#finish('cancelled')
      way = await wayTo(peer, this.#connection, this.#options, this.#cancelling.signal)
      if (way.fetch !== undefined) exchanges = new Exchanges(way.fetch)
      const fetches = way.fetch === undefined ? undefined : (true as const)
      const request = this.#request(way.url)
      const shared = fetches ? undefined : this.#shared(request)
      const asked = { replication: this.#id, fetches, shared }
      const status = (await this.#connection.call('replicate', { id: this.#id, ...request }, asked)) as EngineStatus
      this.#progress.update(status)
      return this.#finish(status.state === 'cancelled' ? 'cancelled' : 'complete')
    } catch (error) {
      if (this.#cancelled || (error as Error).name === 'AbortError') return this.#finish('cancelled')
      this.#ended = true
      this.#progress.finish('error', error as FirkinError)
      this.emit('error', error as FirkinError)
      throw error
    } finally {
      endQuestions()
      endWakes()
      exchanges?.endAll()
      way?.close?.()
      this.#connection.off('replication', hear).off('leader', restarted)
    }
  }

  #finish(state: 'complete' | 'cancelled'): ReplicationResult {
    this.#ended = true
    this.#progress.finish(state)
    const { result } = this.#progress
    this.emit('complete', result)
    return result
  }

  #request(url: string): object {
    const { live, retry, selector, doc_ids, keep, snapshot, since, credentials, batchBytes } = this.#options
    const { direction } = this
    const asked = { direction, url, live, retry, selector, doc_ids, snapshot, since, credentials }
    return { ...asked, drop: keep === false, batch_bytes: batchBytes }
  }

  /** All that is asked for, if that says it all and goes on: who asks for the same, in whatever tab, has a part in one replication. */
  #shared(request: object): string | undefined {
    const { live, headers, onUnauthorized } = this.#options
    if (!live || typeof headers === 'function' || onUnauthorized !== undefined) return undefined
    return JSON.stringify({ ...request, headers })
  }

  async #headers(unauthorized: boolean): Promise<unknown> {
    const { headers, onUnauthorized } = this.#options
    const fresh = unauthorized ? await onUnauthorized?.() : undefined
    return fresh ?? (typeof headers === 'function' ? headers() : headers)
  }

  #happened(progress: EngineProgress): void {
    const { direction } = this
    this.#progress.update(progress)
    switch (progress.type) {
      case 'change':
        this.#arrived({ ...this.#progress.result, direction, documents: progress.documents ?? 0 })
        break
      case 'denied':
        if (progress.denied !== undefined) this.emit('denied', { direction, ...progress.denied })
        break
      case 'checkpoint':
        this.emit('checkpoint', { direction, last_seq: progress.last_seq })
        break
      case 'active':
        this.emit('active', undefined)
        break
      case 'paused':
        this.emit('paused', undefined)
        break
      case 'error':
        this.emit('paused', this.status.error)
    }
  }

  #arrived(change: ReplicationChange): void {
    for (const queue of this.#queues) queue.push(change)
    this.emit('change', change)
  }

  /** Whether the engine waits for something new, and nothing was left at the moment `at_ms`. */
  async #upToDate(at_ms: number): Promise<boolean> {
    const { state, lastSeq } = this.status
    if (state !== 'idle') return false
    if (this.direction === 'pull') {
      // One that holds no feed looks again.
      await this.#connection.call('looked', { at_ms }, { replication: this.#id }).catch(() => {})
      return this.status.state === 'idle' || this.#ended
    }
    const { doc_ids, selector } = this.#options
    const since = lastSeq ?? 0
    const page = await this.#connection.call('changes', { since, limit: 1, doc_ids, selector })
    return (page as { results: unknown[] }).results.length === 0
  }

  #nextPause(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.off('paused', done).off('checkpoint', done)
        resolve()
      }
      this.on('paused', done).on('checkpoint', done)
      this.#end.then(done, done)
    })
  }
}
