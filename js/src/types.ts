// The shapes that go in and out: documents as CouchDB writes them, and the options and answers of the calls.
//
// A type parameter `Doc` stands for the app's own part of a document; the members that start with an underscore, and
// `firkin`, are added here.

import type { Attachment, WritableAttachments } from './attachment-types.js'
import type { Selector } from './query-types.js'
import type { MergePolicies } from './review-types.js'

/** Who wrote a revision, when and why: the one member at the top of a document that is not the app's. */
export interface Attribution {
  author?: string
  message?: string
  /** ISO 8601, in UTC. */
  time?: string
  /** The revisions that a merge closed. */
  merged?: string[]
  /** The policy that merged by itself. */
  policy?: string
}

/** The members of a stored document that the app did not write. */
export interface Stored {
  _id: string
  _rev: string
  _deleted?: true
  /** The losing branches; only with `conflicts`. */
  _conflicts?: string[]
  /** The history, newest first; only with `revs`. */
  _revisions?: { start: number; ids: string[] }
  /** The history with what is kept of it; only with `revs_info`. */
  _revs_info?: { rev: string; status: 'available' | 'missing' | 'deleted' }[]
  _attachments?: { [name: string]: Attachment }
  firkin?: Attribution
}

/** A document as it is read. */
export type Existing<Doc> = Doc & Stored

/** A document as it is written: new without `_rev`, else the next revision of the one that `_rev` names. */
export type Writable<Doc> = Doc &
  WritableAttachments & {
    _id: string
    _rev?: string | undefined
    _deleted?: boolean
    _revisions?: { start: number; ids: string[] }
  }

/** A document that may still lack its id; it is given a random one. */
export type Unnamed<Doc> = (Doc extends unknown ? Omit<Doc, '_id'> : never) &
  WritableAttachments & {
    _id?: string
    _rev?: string | undefined
    _deleted?: boolean
    _revisions?: { start: number; ids: string[] }
  }

/** What removes a document. It may keep members, such as those that filters ask for. */
export interface Tombstone {
  _id: string
  _rev?: string | undefined
  _deleted: true
  [member: string]: unknown
}

/** Any document. */
export interface AnyDocument {
  // biome-ignore lint/suspicious/noExplicitAny: the app knows what its documents hold, and may name a type.
  [member: string]: any
}

export type Durability = 'relaxed' | 'strict'

export interface DatabaseOptions {
  /**
   * Default `indexeddb` in browsers, `memory` elsewhere. A memory database is its instance's own and ends with it. `opfs` is the
   * origin's private file system, where writes take less time; it needs a worker. A database in OPFS and one in IndexedDB are
   * two, also under one name.
   */
  storage?: 'indexeddb' | 'opfs' | 'memory'
  /** What an acknowledged write survives: death of the browser's process (`relaxed`, the default), or loss of power. */
  durability?: Durability
  /** How many revisions of a document's history are kept, at least 1; default 1,000. The leading tab's holds for all. */
  revsLimit?: number
  /** The largest document that is taken, in bytes of JSON; default 8 MiB. As for `revsLimit`. */
  documentBytesMax?: number
  /** How much of the database is kept in memory, in bytes; default 32 MiB. As for `revsLimit`. */
  cacheBytes?: number
  /**
   * Paths that are not indexed, with all that lies below them, such as objects with ids as their names; queries on them
   * read documents. A path goes through objects only, so of an array all or nothing is kept out; a member that is called
   * `0` or `[]` is written `\0`, `\[]`. Opening with other paths than before makes the index anew. As for `revsLimit`.
   */
  index?: { exclude: string[] }
  /**
   * A module of the page's own origin that sees every revision before it is written. The leading tab's holds for all.
   * With `worker: false` it may be the module itself, as a service worker cannot import by URL.
   */
  logic?: URL | string | LogicModule
  /**
   * What becomes of documents with several branches, once all that a pull brings of them is here: what policies decide on is merged
   * at once, the rest waits for a person. Default: all of it. The leading tab's hold for all.
   */
  merge?: MergePolicies
  /**
   * The number of these policies, from 0 on: where replicas of an older and a newer version of the app have merged the same branches
   * differently, the merge of the greater number stands.
   */
  mergeVersion?: number
  /** `false` runs the engine where the instance is, for service workers and tests. */
  worker?: boolean
  /** Closes the database when it aborts. */
  signal?: AbortSignal
}

/** What a logic module is told beside the documents. */
export interface LogicContext {
  /** The database's name. */
  readonly database: string
  /** The revision was made elsewhere, and came by a replication or with `new_edits: false`. */
  readonly replicated: boolean
  /** As the new document's `firkin` member tells them. */
  readonly author?: string
  readonly time?: string
}

/**
 * What a logic module exports. `oldDoc` is the document at the revision that the new one replaces on its branch, be it
 * deleted; `null` where there is none here. What a function throws refuses the document: `{ forbidden: reason }` or an
 * Error with 403, `{ unauthorized: reason }` with 401.
 */
export interface LogicModule {
  /** Sees every revision that is about to be written, also those of replications, and refuses by throwing. */
  validate?(newDoc: AnyDocument, oldDoc: AnyDocument | null, context: LogicContext): unknown
  /** Sees new edits of this device, before `validate`; returns the document to store, or nothing for it as it is. */
  onWrite?(newDoc: AnyDocument, oldDoc: AnyDocument | null, context: LogicContext): unknown
  /**
   * Functions that decide on places which branches changed differently, by the names that policies say: `{ module: name }`. Each
   * returns what is to stand there, or nothing where a person is to decide. What one throws leaves the review to a person. They must
   * answer the same on every device.
   */
  merges?: { [name: string]: (base: unknown, ours: unknown, theirs: unknown) => unknown }
}

/** Ends the waiting for an answer. What was sent may still take effect. */
export interface Abortable {
  signal?: AbortSignal | undefined
}

export interface PutOptions extends Abortable {
  durability?: Durability
  /** Written into the document's `firkin` member. */
  author?: string
  /** Written into the document's `firkin` member. */
  message?: string
  /** When it was written, in the `firkin` member; now, if there is an author or a message and no time. */
  time?: string
  /** Writes a branch of its own where `_rev` is not a current revision, rather than refuse. */
  force?: boolean
  /** `false` stores the revision as it is, with the history that `_revisions` tells: what replicators do. */
  new_edits?: boolean
}

export interface RemoveOptions extends Abortable {
  durability?: Durability
}

/** What a write answers. */
export interface Written {
  ok: true
  id: string
  rev: string
}

/** A row of `bulkDocs` for a document that was refused. */
export interface Refused {
  id: string
  rev?: string
  /** The error's name, such as `conflict`. */
  error: string
  status: number
  reason: string
}

export interface BulkDocsOptions extends Abortable {
  new_edits?: boolean
  /** If one document is refused, none is written. */
  atomic?: boolean
  durability?: Durability
}

export interface GetOptions extends Abortable {
  rev?: string
  /** Adds `_revisions`. */
  revs?: boolean
  /** Adds `_revs_info`. */
  revs_info?: boolean
  /** Adds `_conflicts`. */
  conflicts?: boolean
  /** With `rev`: the leaf that `rev` led to. */
  latest?: boolean
  /** Shows attachments with their data, in base64, rather than as stubs. */
  attachments?: boolean
  /** With `attachments`: shows the data as Blobs, which is cheaper. */
  binary?: boolean
}

export interface ValueOptions extends Abortable {
  /** Asks for what stands at this path (`address.city`) instead of the document. */
  path: string
}

export interface OpenRevsOptions extends Abortable {
  open_revs: 'all' | string[]
  revs?: boolean
  latest?: boolean
  /** Shows attachments with their data, in base64. */
  attachments?: boolean
}

/** A row of `get` with `open_revs`. */
export type OpenRev<Doc> = { ok: Existing<Doc> } | { missing: string }

export interface BulkGetQuery extends Abortable {
  docs: { id: string; rev?: string }[]
  revs?: boolean
  latest?: boolean
  /** Shows attachments with their data, in base64. */
  attachments?: boolean
}

export interface BulkGetResult<Doc> {
  results: {
    id: string
    docs: ({ ok: Existing<Doc> } | { error: { id: string; rev: string; error: string; reason: string } })[]
  }[]
}

export interface AllDocsQuery extends Abortable {
  include_docs?: boolean
  /** Adds `_conflicts` to the documents, which `include_docs` asks for. */
  conflicts?: boolean
  /** Shows attachments of the documents with their data, in base64. */
  attachments?: boolean
  startkey?: string
  endkey?: string
  inclusive_end?: boolean
  key?: string
  keys?: string[]
  limit?: number
  skip?: number
  descending?: boolean
}

export interface AllDocsRow<Doc> {
  id: string
  key: string
  value: { rev: string; deleted?: true }
  doc?: Existing<Doc> | null
}

/** A row of `allDocs` with `keys` for a key that no document has. */
export interface AbsentRow {
  key: string
  error: 'not_found'
}

export interface AllDocsResult<Row> {
  total_rows: number
  offset: number | null
  rows: Row[]
}

export interface ChangesQuery extends Abortable {
  /** A `seq` of an earlier change, 0 for all (the default), or `now`. For a consumer it counts only when it is new. */
  since?: string | number
  /**
   * The name, of at most 256 bytes, of a reader whose place the database remembers: it goes on where it was, and each
   * change reaches it at least once. It has one reader at a time; another is refused with 409.
   */
  consumer?: string
  /** Goes on with every change to come, until it is cancelled. */
  live?: boolean
  limit?: number
  descending?: boolean
  include_docs?: boolean
  conflicts?: boolean
  /** Shows attachments of the documents with their data, in base64. */
  attachments?: boolean
  /** `all_docs` names every leaf, `main_only` (the default) the winning revision. */
  style?: 'main_only' | 'all_docs'
  selector?: Selector
  doc_ids?: string[]
  /** How many changes are read at a time; default 250. */
  batch_size?: number
}

export interface Change<Doc> {
  seq: string
  id: string
  changes: { rev: string }[]
  deleted?: true
  doc?: Existing<Doc>
}

export interface ChangesResult<Doc> {
  results: Change<Doc>[]
  last_seq: string
}

/** A consumer of the changes feed. */
export interface ConsumerPosition {
  name: string
  /** All changes up to this one are handled. */
  seq: string
}

/** What a compaction did. */
export interface Compacted {
  ok: true
  /** How many documents were looked at: those that changed since the last compaction. */
  documents: number
  /** How many revisions lost their bodies. */
  revisions: number
  contents_dropped: number
  /** How many contents of attachments there are; each is stored once, however many documents have it. */
  contents_kept: number
  contents_kept_bytes: number
  /** How many long contents are coming in, whose documents are not written yet. */
  contents_incoming: number
}

/** What a repair found. */
export interface Repaired {
  ok: true
  /** The stored blocks that could not be read, and what was wrong with each. What they held may be gone without a trace. */
  blocks: string[]
  /**
   * What is known to be lost: the body of a current revision (`leaf`) or of one that others followed (`ancestor`), or contents of
   * its attachments.
   */
  lost: { id: string; rev: string; lost: 'leaf' | 'ancestor' | 'attachments' }[]
  /** How many documents there are now, deleted ones and lost ones included. */
  documents: number
}

/**
 * How far something that takes long has come: `done` of `total`, where that is known. They count blocks of the log for `open`;
 * documents for `index` (it is made anew, since other paths are kept out of it), `write` (one of many documents), `compact`,
 * `export` and `import`, or bytes for these where they are of blocks; and for `repair` stored blocks first, then documents.
 */
export type Progress = { done: number; total?: number } & (
  | { task: 'open' | 'index' | 'write' | 'repair' }
  | ({ task: 'compact' } & Omit<Compacted, 'ok'>)
  | { task: 'export' | 'import'; documents?: number; revisions?: number }
)

/** How a backup is written. */
export interface ExportOptions extends Abortable {
  /**
   * `lines`, the default: documents with their histories, as lines of JSON, which any version reads and any database takes in.
   * `blocks`: what is stored as it is, with its index, which goes quickly, into an empty database.
   */
  format?: 'lines' | 'blocks'
}

/** What was purged. */
export interface Purged {
  ok: true
  /** The leaf, and those of its ancestors that no other leaf descends from, in this order. */
  deletedRevs: string[]
  documentWasRemovedCompletely: boolean
}

export interface Info {
  db_name: string
  doc_count: number
  doc_del_count: number
  update_seq: string
  /** What this replica is called: 32 hex digits, made at random with the database. */
  identity: string
  /** Where it is stored. */
  storage: 'indexeddb' | 'opfs' | 'memory'
}

/** For each document, the revisions that are not here, and those that could be their parents. */
export interface RevsDiff {
  [id: string]: { missing: string[]; possible_ancestors?: string[] }
}

export interface InitOptions {
  /** Where `firkin.wasm` is served, if it is not beside the package. */
  wasm?: URL | string
}
