// What the engine tells of a replication, and what the app is told.

import { type ErrorReport, FirkinError } from './errors.js'
import type { Denied, ReplicationResult, ReplicationState, ReplicationStatus } from './replication-types.js'

/** The status of a replication as the engine tells it. */
export interface EngineStatus {
  state: ReplicationState
  docs_read: number
  docs_written: number
  doc_write_failures: number
  bytes_read: number
  bytes_written: number
  pending: number | null
  last_seq: string | number | null
  error: ErrorReport | null
}

/** Something happened to the replication of the number `id`. */
export interface EngineProgress extends EngineStatus {
  id: number
  type: 'active' | 'paused' | 'change' | 'checkpoint' | 'denied' | 'error' | 'waiting'
  /** Of a change: how many revisions the target took. */
  documents?: number
  denied?: Omit<Denied, 'direction'>
}

/**
 * A replication's status over all its runs: when the tab that leads ends, the next leader begins a new run where the
 * last checkpoint was, and counts from 0.
 */
export class Progress {
  #earlier = { read: 0, written: 0, failures: 0, bytesRead: 0, bytesWritten: 0 }
  #lastSeq: string | number | null = null
  #latest: EngineStatus | undefined
  #end: { state: ReplicationState; error: FirkinError | undefined } | undefined

  /** Takes down what the engine tells. */
  update(latest: EngineStatus): void {
    this.#latest = latest
    this.#lastSeq = latest.last_seq ?? this.#lastSeq
  }

  /** What the engine tells from now on is of another run. */
  anotherRun(): void {
    const last = this.#latest
    if (last === undefined) return
    const { read, written, failures, bytesRead, bytesWritten } = this.#earlier
    this.#earlier = {
      read: read + last.docs_read,
      written: written + last.docs_written,
      failures: failures + last.doc_write_failures,
      bytesRead: bytesRead + last.bytes_read,
      bytesWritten: bytesWritten + last.bytes_written,
    }
    this.#latest = undefined
  }

  /** It has ended. */
  finish(state: 'complete' | 'cancelled' | 'error', error?: FirkinError): void {
    this.#end = { state, error }
  }

  get status(): ReplicationStatus {
    const { read, written, bytesRead, bytesWritten } = this.#earlier
    const latest = this.#latest
    const waitsFor = latest?.error ? new FirkinError(latest.error) : undefined
    return {
      state: this.#end?.state ?? latest?.state ?? 'active',
      pending: latest?.pending ?? null,
      read: read + (latest?.docs_read ?? 0),
      written: written + (latest?.docs_written ?? 0),
      bytesRead: bytesRead + (latest?.bytes_read ?? 0),
      bytesWritten: bytesWritten + (latest?.bytes_written ?? 0),
      lastSeq: this.#lastSeq,
      error: this.#end === undefined ? waitsFor : this.#end.error,
    }
  }

  get result(): ReplicationResult {
    const { state, read, written, lastSeq } = this.status
    return {
      ok: state !== 'cancelled' && state !== 'error',
      docs_read: read,
      docs_written: written,
      doc_write_failures: this.#earlier.failures + (this.#latest?.doc_write_failures ?? 0),
      last_seq: lastSeq,
    }
  }
}
