// The calls of a page that have no outcome yet, and what becomes of them when the leader that they were sent to ends.
//
// It goes to the next leader. A write that was sent to two leaders takes effect once, as the second finds the
// document's revision gone; but its refusal with 409 then may be for what it did itself, and nobody is left to tell.
// **Such a refusal is never passed on as a conflict**: it becomes 503 `closed`, and the app reads the document back.

import { decode } from './encode.js'
import { closed, type ErrorReport, reportOf } from './errors.js'
import type { Call, Outcome } from './messages.js'

interface Entry {
  call: Call
  /** The leader that it was sent to. */
  sentTo?: string
  /** It was sent to a leader that ended without a word about it. */
  maybeDone?: true
}

type Settled = Exclude<Outcome, { type: 'unserved' }>

const CANCELLED: ErrorReport = { status: 0, name: 'aborted', reason: 'the replication was cancelled' }

const CLOSED = reportOf(closed('the database is closed'))

const UNKNOWN = reportOf(closed('the tab that led went away; whether this write took effect is unknown: read it back'))

export class Backlog {
  readonly #entries = new Map<number, Entry>()
  readonly #cancelled = new Set<number>()
  readonly #send: (call: Call) => void
  readonly #settled: (outcome: Settled) => void
  #leader: string | undefined
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
    this.#entries.set(call.id, entry)
    this.#pass(entry)
  }

  /** There is another leader, or none for now. */
  follow(leader: string | undefined): void {
    this.#leader = leader
    for (const entry of [...this.#entries.values()]) this.#pass(entry)
  }

  /** A leader tells how a call ended. */
  outcome(outcome: Outcome): void {
    const entry = this.#entries.get(outcome.id)
    if (entry === undefined) return
    if (outcome.type === 'unserved') delete entry.sentTo
    else if (entry.maybeDone && entry.call.write && tellsOfConflict(outcome)) this.#refuse(entry, UNKNOWN)
    else this.#settle(entry, outcome)
  }

  /** The calls that began a replication which has not ended. */
  replications(): Call[] {
    return [...this.#entries.values()].map(({ call }) => call).filter(({ method }) => method === 'replicate')
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
    if (this.#leader === undefined || sentTo === this.#leader) return
    if (call.method === 'replicate' && this.#cancelled.has(call.replication ?? 0)) {
      this.#refuse(entry, CANCELLED)
      return
    }
    if (sentTo !== undefined) entry.maybeDone = true
    entry.sentTo = this.#leader
    this.#send(call)
  }

  /** Keeps a cancelled replication from being sent, at all or again; whether that is all there was to do. */
  #cancelUnsent(entry: Entry): boolean {
    const { id, replication } = entry.call
    if (replication === undefined) return false
    this.#cancelled.add(replication)
    const begun = [...this.#entries.values()].find(
      ({ call }) => call.method === 'replicate' && call.replication === replication,
    )
    if (begun !== undefined && begun.sentTo !== undefined) return false
    if (begun !== undefined) this.#refuse(begun, CANCELLED)
    this.#cancelled.delete(replication)
    this.#settled({ type: 'result', id, payload: new Uint8Array() })
    return true
  }

  #refuse(entry: Entry, error: ErrorReport): void {
    this.#settle(entry, { type: 'refused', id: entry.call.id, error })
  }

  #settle(entry: Entry, outcome: Settled): void {
    const { id, method, replication } = entry.call
    this.#entries.delete(id)
    if (method === 'replicate' && replication !== undefined) this.#cancelled.delete(replication)
    this.#settled(outcome)
    if (this.#entries.size > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }
}

/** Whether a write, or one row of a bulk of writes, was refused because the document is not as the write expects. */
function tellsOfConflict(outcome: Settled): boolean {
  if (outcome.type === 'refused') return outcome.error.status === 409 || outcome.error.status === 404
  const rows = decode(outcome.payload)
  return Array.isArray(rows) && rows.some(({ status }: { status?: number }) => status === 409)
}
