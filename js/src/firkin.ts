// The database as an app holds it.
//
// An instance says what is asked, as JSON, to the engine; it holds no documents. It can be used at once: calls wait
// until the database is open, in this tab or in another that leads.

import type { AttachmentContent, AttachmentOptions } from './attachment-types.js'
import { attachmentGiven, blobOf, type Contents, readAttachment, withBlobs, withoutContents } from './attachments.js'
import { exportFrom, type Imported, importAny } from './backup.js'
import { exportBlocks } from './block-backup.js'
import { ChangesFeed } from './changes.js'
import { type CallOptions, type Connection, connect, introduce, listDatabases } from './connection.js'
import { identified, named, withAttribution } from './document.js'
import { Emitter } from './emitter.js'
import { badRequest, FirkinError } from './errors.js'
import { LiveQuery, type LiveQueryOptions } from './live.js'
import type { BackupSource } from './pieces.js'
import type {
  DistinctOptions,
  DistinctValue,
  Explanation,
  FindQuery,
  FindResult,
  IndexDefinition,
  IndexList,
  KnownPath,
  Selector,
} from './query-types.js'
import { Replication } from './replication.js'
import type { Direction, FramePort, Peer, ReplicationOptions } from './replication-types.js'
import { Review, Reviews } from './reviews.js'
import { setWasm } from './start.js'
import { estimate, persist, type StorageEstimate } from './storage.js'
import { Sync } from './sync.js'
import { type Transaction, type TransactionOptions, transact } from './transaction.js'
import type {
  Abortable,
  AbsentRow,
  AllDocsQuery,
  AllDocsResult,
  AllDocsRow,
  AnyDocument,
  BulkDocsOptions,
  BulkGetQuery,
  BulkGetResult,
  ChangesQuery,
  Compacted,
  ConsumerPosition,
  DatabaseOptions,
  Durability,
  Existing,
  ExportOptions,
  GetOptions,
  Info,
  InitOptions,
  OpenRev,
  OpenRevsOptions,
  Progress,
  Purged,
  PutOptions,
  Refused,
  RemoveOptions,
  Repaired,
  RevsDiff,
  Tombstone,
  Unnamed,
  ValueOptions,
  Writable,
  Written,
} from './types.js'
import { Watched } from './watch.js'

export interface DatabaseEvents {
  /** How far something that takes long has come, in whatever tab it was asked for. */
  progress: Progress
  /** Documents have changed, by this tab, another or a replication. */
  changed: { last_seq: string }
  /** This instance runs the engine from now on (`leading`), or another does. */
  leader: { leading: boolean }
  /** Another tab has a newer version of the library: this page should be loaded again. */
  outdated: { version: string; own: string }
  /** The database can no longer be used: it was closed or destroyed, or its data were cleared. */
  closed: { reason: string }
  /** The browser says that it has lost all that this origin had in IndexedDB. It says so to one of its databases. */
  lost: { reason: string }
}

/** A database of documents whose own members are those of `Doc`. */
export class Firkin<Doc extends object = AnyDocument> extends Emitter<DatabaseEvents> {
  readonly name: string
  /** Settles once the database is open, or cannot be opened. */
  readonly ready: Promise<void>
  /** One-way replication; the promise-like handle settles when it ends. */
  readonly replicate: {
    to(target: Peer, options?: ReplicationOptions): Replication
    from(source: Peer, options?: ReplicationOptions): Replication
  }
  readonly #connection: Connection
  // Said with every write, as the tab that leads may have been opened with another.
  readonly #durability: Durability | undefined

  /** Opens the database `name`, and creates it where there is none. Returns at once. */
  constructor(name: string, options: DatabaseOptions = {}) {
    super()
    if (typeof name !== 'string' || name === '') throw badRequest('a database has a name, which is a string')
    this.name = name
    this.#connection = connect(name, options)
    this.#durability = options.durability
    this.ready = this.#connection.opened
    introduce(this, this.#connection)
    this.#connection.on('changed', (detail) => this.emit('changed', detail))
    this.#connection.on('leader', (detail) => this.emit('leader', detail))
    this.#connection.on('outdated', (detail) => this.emit('outdated', detail))
    this.#connection.on('progress', (detail) => this.emit('progress', detail))
    this.#connection.on('closed', (detail) => this.emit('closed', detail))
    this.#connection.on('lost', (detail) => this.emit('lost', detail))
    const replicate = (direction: Direction) => (peer: Peer, asked?: ReplicationOptions) =>
      new Replication(this.#connection, direction, peer, asked)
    this.replicate = { to: replicate('push'), from: replicate('pull') }
  }

  /** The names of all databases of this origin. */
  static list(): Promise<string[]> {
    return listDatabases()
  }

  /**
   * Asks the browser never to throw this origin's data away by itself, and answers whether it will not. Some browsers ask the
   * user. `false` also where it cannot be asked: in workers, on pages that are not secure.
   */
  static persist(): Promise<boolean> {
    return persist()
  }

  /** How much this origin stores and may store, in bytes, as far as the browser tells, and whether that is safe from eviction. */
  static estimate(): Promise<StorageEstimate> {
    return estimate()
  }

  /** Settings for all databases that are opened from now on. */
  static init(options: InitOptions): void {
    if (options.wasm !== undefined) setWasm(options.wasm)
  }

  /** Writes a document: a new one without `_rev`, else the next revision of the one that `_rev` names. */
  async put(doc: Writable<Doc> | Tombstone, options: PutOptions = {}): Promise<Written> {
    const { signal, new_edits, force, durability = this.#durability } = options
    const contents: Contents = new Map()
    const written = this.#withoutContents(withAttribution(identified(doc), options), contents)
    if (new_edits !== false) {
      return this.#write('put', { doc: written, options: { durability, force } }, signal, contents)
    }
    const [row] = await this.#bulk({ new_edits, options: { durability } }, [written], { signal, contents })
    if (row !== undefined && 'error' in row) throw new FirkinError({ ...row, name: row.error })
    return { ok: true, id: String(written._id), rev: String(written._rev) }
  }

  /** Writes a new document under a random id, or under its own where it has one. */
  async post(doc: Unnamed<Doc>, options: PutOptions = {}): Promise<Written> {
    return this.put(named(doc) as Writable<Doc>, options)
  }

  /** Removes the document: writes a tombstone on top of the revision. */
  remove(doc: { _id: string; _rev: string }, options?: RemoveOptions): Promise<Written>
  remove(id: string, rev: string, options?: RemoveOptions): Promise<Written>
  async remove(
    target: string | { _id: string; _rev: string },
    second?: string | RemoveOptions,
    third?: RemoveOptions,
  ): Promise<Written> {
    const byId = typeof target === 'string'
    const { _id: id, _rev: rev } = byId ? { _id: target, _rev: second } : identified(target)
    const { signal, durability = this.#durability } = (byId ? third : (second as RemoveOptions | undefined)) ?? {}
    return this.#write('remove', { id, rev, options: { durability } }, signal)
  }

  /** The document `id`: its winning revision, or the one that `rev` names. */
  get<Shape extends object = Doc>(id: string, options?: GetOptions): Promise<Existing<Shape>>
  get<Shape extends object = Doc>(id: string, options: OpenRevsOptions): Promise<OpenRev<Shape>[]>
  /** What stands at a path of the document; `undefined` if nothing does. */
  get<Value = unknown>(id: string, options: ValueOptions): Promise<Value | undefined>
  async get(id: string, options: GetOptions | OpenRevsOptions | ValueOptions = {}): Promise<unknown> {
    if (typeof id !== 'string') throw badRequest('the id of a document is a string')
    const { signal, ...asked } = options
    if ('path' in asked) return this.#call('value', { id, path: asked.path }, signal)
    if (!('open_revs' in asked)) return this.#get(id, asked, signal)
    const { open_revs, revs, latest, attachments } = asked
    return this.#call('openRevs', { id, revs: open_revs, latest, with_revisions: revs, attachments }, signal)
  }

  /**
   * Writes many documents in one step; those without an id get a random one. A document that is refused, as for a
   * conflict, has a row that says so, and keeps the others from being written only if the batch is `atomic`. Documents
   * that are malformed, or whose ids start with `_local/`, reject the call, and nothing is written.
   */
  async bulkDocs(
    docs: readonly (Writable<Doc> | Unnamed<Doc> | Tombstone)[],
    options: BulkDocsOptions = {},
  ): Promise<(Written | Refused)[]> {
    const { signal, new_edits, atomic, durability = this.#durability } = options
    if (!Array.isArray(docs)) throw badRequest('bulkDocs takes an array of documents')
    const contents: Contents = new Map()
    const written = docs.map((doc) => this.#withoutContents(named(doc), contents))
    const head = { new_edits, options: { durability, atomic } }
    return this.#bulk(head, written, { signal, contents, write: new_edits !== false })
  }

  /** Many documents, or revisions of documents, at once. */
  async bulkGet<Shape extends object = Doc>(query: BulkGetQuery): Promise<BulkGetResult<Shape>> {
    const { signal, ...asked } = given(query)
    return this.#call('bulkGet', asked, signal)
  }

  /** Documents in the order of their ids. */
  allDocs<Shape extends object = Doc>(
    query: AllDocsQuery & { keys: string[] },
  ): Promise<AllDocsResult<AllDocsRow<Shape> | AbsentRow>>
  allDocs<Shape extends object = Doc>(query?: AllDocsQuery): Promise<AllDocsResult<AllDocsRow<Shape>>>
  async allDocs(query: AllDocsQuery = {}): Promise<unknown> {
    const { signal, key, ...asked } = query
    return this.#call('allDocs', key === undefined ? asked : { ...asked, startkey: key, endkey: key }, signal)
  }

  /** The documents that a selector matches. Every path is indexed: there is no index to create. */
  async find<Shape extends object = Doc>(query: FindQuery): Promise<FindResult<Shape>> {
    const { signal, ...asked } = given(query)
    return this.#call('find', asked, signal)
  }

  /** How many documents a selector matches. */
  async count(selector: Selector, options: Abortable = {}): Promise<number> {
    return this.#call('count', { selector }, options.signal)
  }

  /**
   * The values that stand at `path` in any document, each once, in order; with `counts`, how many documents have each.
   * `[]` in a path means the elements of an array: `tags.[]`.
   */
  distinct(path: string, options: DistinctOptions & { counts: true }): Promise<DistinctValue[]>
  distinct<Value = unknown>(path: string, options?: DistinctOptions): Promise<Value[]>
  async distinct(path: string, options: DistinctOptions = {}): Promise<unknown> {
    return this.#call('distinct', { path, counts: options.counts }, options.signal)
  }

  /** The paths that documents have, with the types found there: a schema that writes itself. */
  async paths(options: Abortable = {}): Promise<KnownPath[]> {
    return this.#call('paths', {}, options.signal)
  }

  /** How `find` answers the query: it is answered, and told how. */
  async explain(query: FindQuery): Promise<Explanation> {
    const { signal, ...asked } = given(query)
    return this.#call('explain', asked, signal)
  }

  /**
   * Runs `body` as one step: it reads from one moment, with what it writes; all of that is written, or nothing; and it
   * all counts as done at one moment. Where others change what it read before that, nothing is written and the body is
   * run again, so it should do nothing but call `tx`: what it writes with `db` makes it run again as well. Answers what the
   * body does. A body that throws writes nothing.
   */
  async transaction<Answer>(
    body: (tx: Transaction<Doc>) => Answer | Promise<Answer>,
    options: TransactionOptions = {},
  ): Promise<Answer> {
    return transact(this.#connection, body, { ...options, durability: options.durability ?? this.#durability })
  }

  /** Accepted for PouchDB's sake: every path is indexed already. */
  async createIndex(definition: IndexDefinition): Promise<{ result: 'exists'; id: string; name: string }> {
    const name = definition.name ?? definition.index.fields.map((field) => JSON.stringify(field)).join()
    return { result: 'exists', id: `_design/${definition.ddoc ?? name}`, name }
  }

  /** Accepted for PouchDB's sake; lists the one index that CouchDB has without being asked. */
  async getIndexes(): Promise<IndexList> {
    const all = { ddoc: null, name: '_all_docs', type: 'special', def: { fields: [{ _id: 'asc' as const }] } }
    return { total_rows: 1, indexes: [all] }
  }

  /** Accepted for PouchDB's sake: there is nothing to delete. */
  async deleteIndex(_index?: unknown): Promise<{ ok: true }> {
    return { ok: true }
  }

  /** What has changed, in the order in which it did; with `live`, what changes from now on as well. */
  changes<Shape extends object = Doc>(query: ChangesQuery = {}): ChangesFeed<Shape> {
    return new ChangesFeed(this.#connection, query)
  }

  /** The consumers that `changes` was called for, and where each is. */
  async consumers(): Promise<ConsumerPosition[]> {
    return this.#call('consumers', {})
  }

  /** Forgets a consumer; 404 where there is none of this name. */
  async removeConsumer(name: string): Promise<{ ok: true }> {
    return this.#call('removeConsumer', { name })
  }

  /** The answer of a query, and what it becomes whenever documents change: to iterate, or to subscribe to. */
  live<Shape extends object = Doc>(query: LiveQueryOptions): LiveQuery<Shape> {
    return new LiveQuery(this.#connection, given(query))
  }

  /**
   * What stands at `path` of the document, or the document without one, and what it becomes: to iterate, or to subscribe to.
   * `undefined` where nothing does.
   */
  watch<Value = unknown>(id: string, path: string, options?: Abortable): Watched<Value>
  watch<Shape extends object = Doc>(id: string, options?: Abortable): Watched<Existing<Shape>>
  watch(id: string, second?: string | Abortable, third?: Abortable): Watched<unknown> {
    if (typeof id !== 'string') throw badRequest('the id of a document is a string')
    const [path, options] = typeof second === 'string' ? [second, third] : [undefined, second]
    return new Watched(this.#connection, id, path, options ?? {})
  }

  /**
   * Writes a revision on top of `rev` with one more attachment, or another under that name; without `rev` it is the first
   * revision of a new document. The type is the content's own where none is given; a content that is a string needs one.
   */
  putAttachment(
    id: string,
    name: string,
    rev: string | undefined,
    content: AttachmentContent,
    type?: string,
    options?: RemoveOptions,
  ): Promise<Written>
  putAttachment(id: string, name: string, content: AttachmentContent, type?: string): Promise<Written>
  async putAttachment(id: string, name: string, ...given: unknown[]): Promise<Written> {
    const [rev, content, type, options] = attachmentGiven(given)
    const { signal, durability = this.#durability } = options
    const [staged, blob] = [this.#connection.newUpload(), blobOf(content)]
    const content_type = type ?? (blob.type || 'application/octet-stream')
    const payload = { id, name, rev, content_type, staged, options: { durability } }
    return this.#write('putAttachment', payload, signal, new Map([[staged, blob]]))
  }

  /** The content of an attachment, with its type. 404 where there is none. */
  async getAttachment(id: string, name: string, options: AttachmentOptions = {}): Promise<Blob> {
    return readAttachment(this.#connection, { id, name, rev: options.rev }, options.signal)
  }

  /** Writes a revision on top of `rev` that lacks the attachment. */
  async removeAttachment(id: string, name: string, rev: string, options: RemoveOptions = {}): Promise<Written> {
    const { signal, durability = this.#durability } = options
    return this.#write('removeAttachment', { id, name, rev, options: { durability } }, signal)
  }

  /**
   * Drops what is not needed any more: the bodies of revisions that others followed, except those that open branches grew
   * from, and contents of attachments that no document has. Writes go on meanwhile.
   */
  async compact(options: Abortable = {}): Promise<Compacted> {
    return this.#call('compact', {}, options.signal)
  }

  /**
   * Takes a current revision out of this replica as if it had never been here, with those of its ancestors that no other
   * branch has. Other replicas keep theirs.
   */
  async purge(id: string, rev: string, options: RemoveOptions = {}): Promise<Purged> {
    const { signal, durability = this.#durability } = options
    return this.#write('purge', { id, rev, options: { durability } }, signal)
  }

  /**
   * All documents with their histories and attachments, as a stream: a backup. What changes while it is read is in it as well,
   * unless it is one of blocks, which holds what was there when it was begun. docs/backup-format.md tells both formats.
   */
  export({ format = 'lines', ...options }: ExportOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (format === 'blocks') return exportBlocks(this.#connection, this.name, options)
    if (format !== 'lines') throw badRequest('a backup has the format "lines" or "blocks"')
    return exportFrom(this, (progress) => this.#connection.tell('progress', progress), options)
  }

  /**
   * Takes in a backup of either format. The revisions that one of lines holds are written beside those that are here, as a replication
   * does: such an import can be repeated. One that is malformed or cut off is refused with 400 where that is found; what stands
   * before has been written. One of blocks is taken in whole or not at all, by a database in which nothing was ever written, and makes it
   * another replica, with an `identity` of its own; other calls wait meanwhile.
   */
  import(source: BackupSource, options: Abortable = {}): Promise<Imported> {
    return importAny(this as Firkin<AnyDocument>, this.#connection, source, options)
  }

  /**
   * Mends a database of which stored blocks are damaged: what can be read is kept, all that follows from documents is made anew,
   * and the answer says what is lost. Works also where the database does not open because of that. A revision whose body is lost
   * reads as missing, until a replication brings it back or it is written over. The database is another replica then, with an
   * `identity` of its own: replications begin at the start, and consumers are shown all changes again.
   */
  repair(options: Abortable = {}): Promise<Repaired> {
    return this.#call('repair', {}, options.signal)
  }

  async info(): Promise<Info> {
    return this.#call('info', {})
  }

  /** Which of these revisions are not here. */
  async revsDiff(revisions: { [id: string]: string[] }): Promise<RevsDiff> {
    return this.#call('revsDiff', revisions)
  }

  /**
   * Serves this database at the other end of the port, to whoever has that: there it is a peer to sync with, which reads all and
   * writes what this app's logic lets pass. Ends when the signal aborts or the function returned is called.
   */
  serve(port: FramePort, { signal }: Abortable = {}): () => void {
    const serving = new AbortController()
    const ended = signal === undefined ? serving.signal : AbortSignal.any([signal, serving.signal])
    void import('./port-peer.js').then(({ servePort }) => servePort(this.#connection, port, ended))
    return () => serving.abort()
  }

  /** Replication both ways. */
  sync(peer: Peer, options: ReplicationOptions = {}): Sync {
    return new Sync(this.replicate.to(peer, options), this.replicate.from(peer, options))
  }

  /** The document's branches and what they share, and how to close them. 404 where there is no such document. */
  async review(id: string, options: Abortable = {}): Promise<Review<Doc>> {
    if (typeof id !== 'string') throw badRequest('the id of a document is a string')
    const told = await this.#call<object>('review', { id }, options.signal)
    return new Review({ connection: this.#connection, durability: this.#durability }, told)
  }

  /**
   * The open reviews, of the documents that have more than one branch: to wait for once, to iterate, or to subscribe to. A selector
   * sees the document that wins, and `_review: { clashes, authors, times, branches }`: paths as text, who wrote the branches and when,
   * and how many there are.
   */
  reviews(selector?: Selector, options: Abortable = {}): Reviews<Doc> {
    return new Reviews({ connection: this.#connection, durability: this.#durability }, selector, options)
  }

  /** Ends this instance: what was begun completes, replications are cancelled, later calls fail with 503 `closed`. */
  close(): Promise<void> {
    return this.#connection.close()
  }

  /** Deletes the database and closes it, in all tabs; asked for again, it answers the same. */
  destroy(): Promise<{ ok: true }> {
    return this.#connection.destroy()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #get(id: string, options: GetOptions, signal: AbortSignal | undefined): Promise<AnyDocument> {
    const { binary, attachments, ...asked } = options
    const inBase64 = attachments && !binary
    const doc = await this.#call<AnyDocument>('get', { id, options: { ...asked, attachments: inBase64 } }, signal)
    return attachments && binary ? withBlobs(this.#connection, doc, signal) : doc
  }

  #withoutContents(doc: AnyDocument, contents: Contents): AnyDocument {
    return withoutContents(doc, contents, () => this.#connection.newUpload())
  }

  #bulk(head: object, docs: AnyDocument[], options: CallOptions): Promise<(Written | Refused)[]> {
    return this.#connection.callWithDocs('bulkWrite', head, docs, options) as Promise<(Written | Refused)[]>
  }

  /** As `#call`, for what changes documents, and must not do so twice. */
  #write<Answer>(method: string, payload: unknown, signal?: AbortSignal, contents?: Contents): Promise<Answer> {
    return this.#connection.call(method, payload, { signal, write: true, contents }) as Promise<Answer>
  }

  #call<Answer>(method: string, payload: unknown, signal?: AbortSignal, contents?: Contents): Promise<Answer> {
    return this.#connection.call(method, payload, { signal, contents }) as Promise<Answer>
  }
}

/** The query; one that was forgotten is empty, so that the engine says what it lacks. */
function given<Query extends object>(query: Query | null | undefined): Partial<Query> {
  return query ?? {}
}
