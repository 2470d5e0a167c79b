// The calls of a page that have no outcome yet, and what becomes of them when the leader that they were sent to ends.
//
// They go to the next leader. A write that the last one may have done says so: the engine has recorded with each write which
// request it was, and answers what it did. So **every write takes effect once**, and is answered as if nothing had happened.
// The records are kept by slots: a write has one to itself until it is settled, and so there are as many as writes were
// under way at once.

import { closed, type ErrorReport, reportOf } from './errors.js'
import type { Call, Outcome } from './messages.js'

interface Entry {
  call: Call
  /** The leader's term that it was sent to last. */
  sentTo?: string
  /** The leader of that term does not serve it. */
  unserved?: true
}

type Settled = Exclude<Outcome, { type: 'unserved' }>

const CANCELLED: ErrorReport = { status: 0, name: 'aborted', reason: 'the replication was cancelled' }

const ABORTED: ErrorReport = { status: 0, name: 'aborted', reason: 'the call was aborted' }

const CLOSED = reportOf(closed('the database is closed'))

export class Backlog {
  readonly #entries = new Map<number, Entry>()
  readonly #cancelled = new Set<number>()
  /** The slots that no write has, among those that some write had. */
  readonly #freeSlots: number[] = []
  readonly #send: (call: Call) => void
  readonly #settled: (outcome: Settled) => void
  #slots = 0
  #term: string | undefined
  #whenEmpty: (() => void)[] = []

  /** `send` sends to the leader of the time; `settled` is told how a call ended. */
  constructor(send: (call: Call) => void, settled: (outcome: Settled) => void) {
    this.#send = send
    this.#settled = settled
  }

  /** Takes a call of the page, and sends it if there is a leader. */
  add(call: Call): void {
    const entry = { call }
    if (call.method === 'cancelReplication' && this.#cancelUnsent(entry)) return
    if (call.write) call.request = { slot: this.#takeSlot(), again: false }
    this.#entries.set(call.id, entry)
    this.#pass(entry)
  }

  /** Whether a write waits. */
  get holdsWrites(): boolean {
    return [...this.#entries.values()].some(({ call }) => call.write)
  }

  /** The term of another leader has begun, or there is none for now. */
  follow(term: string | undefined): void {
    this.#term = term
    for (const entry of [...this.#entries.values()]) this.#pass(entry)
  }

  /** The leader of `term` tells how a call ended. One that was stolen from, and wakes up late, is not heard. */
  outcome(term: string, outcome: Outcome): void {
    const entry = this.#entries.get(outcome.id)
    if (entry === undefined || entry.sentTo !== term) return
    if (outcome.type === 'unserved') {
      entry.unserved = true
      this.#pass(entry)
    } else {
      this.#settle(entry, outcome)
    }
  }

  /**
   * Nobody waits for the outcome of this call. One that no leader has is not done at all, and one that may have been begun
   * goes on; whether the leader is to be told, so that it ends a read.
   */
  cancel(id: number): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    const { write, replication, feed, transaction, uploads } = entry.call
    if (entry.sentTo === undefined || entry.unserved) this.#refuse(entry, ABORTED)
    else return !write && replication === undefined && feed === undefined && transaction === undefined && !uploads
    return false
  }

  /** The calls that began a replication which has not ended. */
  replications(): Call[] {
    return [...this.#entries.values()].map(({ call }) => call).filter(({ method }) => method === 'replicate')
  }

  /** No leader will ever serve the calls that are left, but for those that are spared. */
  refuseAll(error: ErrorReport, isSpared: (call: Call) => boolean = () => false): void {
    for (const entry of [...this.#entries.values()]) if (!isSpared(entry.call)) this.#refuse(entry, error)
    this.#tellIfEmpty()
  }

  /** Takes out the calls that are left. */
  takeAll(): Call[] {
    const calls = [...this.#entries.values()].map(({ call }) => call)
    this.#entries.clear()
    return calls
  }

  /** Waits no longer for news of what the page follows. */
  endFeeds(): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.call.feed !== undefined) this.#refuse(entry, CLOSED)
    }
  }

  /** Completes once no call is left. */
  async empty(): Promise<void> {
    if (this.#entries.size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }

  #pass(entry: Entry): void {
    const { call, sentTo } = entry
    if (this.#term === undefined || sentTo === this.#term) return
    if (call.method === 'replicate' && this.#cancelled.has(call.replication ?? 0)) {
      this.#refuse(entry, CANCELLED)
      return
    }
    if (call.request !== undefined) call.request.again = sentTo !== undefined
    entry.sentTo = this.#term
    delete entry.unserved
    this.#send(call)
  }

  #takeSlot(): number {
    const free = this.#freeSlots.pop()
    if (free !== undefined) return free
    this.#slots += 1
    return this.#slots - 1
  }

  /** Keeps a cancelled replication from being sent, at all or again; whether that is all there was to do. */
  #cancelUnsent(entry: Entry): boolean {
    const { id, replication } = entry.call
    if (replication === undefined) return false
    this.#cancelled.add(replication)
    const begun = [...this.#entries.values()].find(
      ({ call }) => call.method === 'replicate' && call.replication === replication,
    )
    if (begun !== undefined && begun.sentTo !== undefined && !begun.unserved) return false
    if (begun !== undefined) this.#refuse(begun, CANCELLED)
    this.#cancelled.delete(replication)
    this.#settled({ type: 'result', id, payload: new Uint8Array() })
    return true
  }

  #refuse(entry: Entry, error: ErrorReport): void {
    this.#settle(entry, { type: 'refused', id: entry.call.id, error })
  }

  #settle(entry: Entry, outcome: Settled): void {
    const { id, method, replication, request } = entry.call
    this.#entries.delete(id)
    if (request !== undefined) this.#freeSlots.push(request.slot)
    if (method === 'replicate' && replication !== undefined) this.#cancelled.delete(replication)
    this.#settled(outcome)
    this.#tellIfEmpty()
  }

  #tellIfEmpty(): void {
    if (this.#entries.size > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }
}
