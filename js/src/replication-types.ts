// The shapes of replication: what is asked for, what is told on the way and at the end.

import type { FirkinError } from './errors.js'
import type { Fetch } from './exchanges.js'
import type { Firkin } from './firkin.js'
import type { FramePort } from './frames.js'
import type { Selector } from './query-types.js'

/**
 * A peer's database: `https://example.org/name`, with `name:password@` where it asks for them; another database of this page;
 * or the port at whose other end one is served (`db.serve`).
 */
export type Peer = string | URL | Pick<Firkin, 'name' | 'serve'> | FramePort

export type { Fetch, FramePort }

export type HeaderMap = Record<string, string>

export interface ReplicationOptions {
  /** Goes on after all has moved, with every change to come. */
  live?: boolean
  /** When the network or the peer fails: tries again, with growing pauses, rather than end. */
  retry?: boolean
  /** Only documents that match. Deletions are never hidden. */
  selector?: Selector
  /** Only these documents. */
  doc_ids?: string[]
  /** `false`: a pull by selector drops documents that no longer match. They are not deleted, neither here nor elsewhere. */
  keep?: boolean
  /**
   * Whether an empty database may begin a pull of everything with the peer's snapshot, documents and index together, which
   * Firkin's own server has; default `true`. Where none can be taken, the pull begins without it, and nobody else is asked for one.
   */
  snapshot?: boolean
  /** Where to begin; default: where the last replication with this peer and these options ended. */
  since?: string | number
  /** Added to every request, such as credentials. A function is asked before the first request. */
  headers?: HeaderMap | (() => HeaderMap | Promise<HeaderMap>)
  /** The peer answered 401: other headers to go on with, or nothing, and `headers` is asked again. */
  onUnauthorized?: () => HeaderMap | undefined | Promise<HeaderMap | undefined>
  /**
   * Sends the requests to a URL, as the platform's `fetch` does, which it is without; in this page, and not where the engine runs.
   * It is given the `headers` as well.
   */
  fetch?: Fetch
  /** Whether the browser's own credentials (cookies) go along; default `same-origin`. */
  credentials?: RequestCredentials
  /** How many bytes of documents a batch should come to. */
  batchBytes?: number
  /** Cancels the replication when it aborts. */
  signal?: AbortSignal
}

export type Direction = 'push' | 'pull'

/** `idle`: live, and all that is known has moved. `offline`: waiting to try again. */
export type ReplicationState = 'active' | 'idle' | 'offline' | 'complete' | 'cancelled' | 'error'

export interface ReplicationStatus {
  state: ReplicationState
  /** How many changes are known and not yet dealt with; `null` where the source does not tell. */
  pending: number | null
  /** Revisions read from the source, and taken by the target. */
  read: number
  written: number
  /** Bytes of answers received, and of requests sent. */
  bytesRead: number
  bytesWritten: number
  /** The source's sequence up to which all is done. */
  lastSeq: string | number | null
  /** Why it ended, or what it waits for to pass. */
  error: FirkinError | undefined
}

/** How a replication ended. */
export interface ReplicationResult {
  /** `false` of one that was cancelled. */
  ok: boolean
  docs_read: number
  docs_written: number
  /** Revisions that were malformed, missing or refused. */
  doc_write_failures: number
  last_seq: string | number | null
}

/** A batch has been written. */
export interface ReplicationChange extends ReplicationResult {
  direction: Direction
  /** How many revisions the target took of this batch. */
  documents: number
}

/** A revision that one side refused. It was passed over, and the rest goes on. */
export interface Denied {
  direction: Direction
  id: string
  rev: string
  /** The error's name as the side that refused tells it, such as `forbidden`. */
  error: string
  reason: string
}

/** Progress was written down on both sides. */
export interface Checkpoint {
  direction: Direction
  last_seq: string | number | null
}

interface ProgressEvents {
  change: ReplicationChange
  /** All that is known has moved; or, with an error, the next attempt waits. */
  paused: FirkinError | undefined
  active: undefined
  denied: Denied
  checkpoint: Checkpoint
  error: FirkinError
}

export interface ReplicationEvents extends ProgressEvents {
  complete: ReplicationResult
}

export interface SyncResult {
  push: ReplicationResult
  pull: ReplicationResult
}

export interface SyncEvents extends ProgressEvents {
  complete: SyncResult
}
