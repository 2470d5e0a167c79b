// The calls of a page that have no outcome yet, and what becomes of them when the leader that they were sent to ends.
//
// A call goes to the next leader if it was not begun, or does no harm when it runs twice. A write may have taken effect or
// not, and nobody is left to tell: it is refused with 503 `closed`, and the app reads the document back. **No write is
// ever sent twice.**

import { closed, type ErrorReport, reportOf } from './errors.js'
import type { Call, Outcome } from './messages.js'

interface Entry {
  call: Call
  /** The leader that it was sent to. */
  sentTo?: string
}

type Settled = Exclude<Outcome, { type: 'unserved' }>

const CANCELLED: ErrorReport = { status: 0, name: 'aborted', reason: 'the replication was cancelled' }

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
    else this.#settle(entry, outcome)
  }

  /** The calls that began a replication which has not ended. */
  replications(): Call[] {
    return [...this.#entries.values()].map(({ call }) => call).filter(({ method }) => method === 'replicate')
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
    } else if (sentTo !== undefined && call.once) {
      this.#refuse(entry, UNKNOWN)
    } else {
      entry.sentTo = this.#leader
      this.#send(call)
    }
  }

  /** Keeps a cancelled replication from being sent, for the first time or again; whether that is all there was to do. */
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
