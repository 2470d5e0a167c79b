// The page's side of the line to the engine: calls with their answers, events, and the engine's questions.
//
// Nothing is kept here but calls that wait. **Every call settles**: with its answer, with the caller's abort, or with a
// 503 `closed` once the connection has ended.

import { type Contents, withContents } from './attachments.js'
import { deferred } from './deferred.js'
import { openEarly } from './early.js'
import { Emitter } from './emitter.js'
import { decode, encode, encodeLines } from './encode.js'
import { type AbortError, aborted, badRequest, closed, type ErrorReport, FirkinError, reportOf } from './errors.js'
import { relayLogic } from './logic.js'
import { type Call, type EngineOptions, type Question, sharedName, type ToPage, UNOPENED } from './messages.js'
import { checkOptions } from './options.js'
import type { EngineProgress } from './progress.js'
import { speakForEngine } from './pulse.js'
import { randomName } from './random.js'
import { handIn } from './rules.js'
import { type PagePort, start, wasmMember } from './start.js'
import type { DatabaseOptions, LogicModule, Progress } from './types.js'

interface ConnectionEvents {
  changed: { last_seq: string }
  leader: { leading: boolean }
  outdated: { version: string; own: string }
  closed: { reason: string }
  lost: { reason: string }
  progress: Progress
  replication: EngineProgress
}

export interface CallOptions {
  signal?: AbortSignal | undefined
  /** The number of the replication that the call begins or cancels. */
  replication?: number
  /** The page sends the requests of that replication. */
  fetches?: true | undefined
  /** All that the replication asks for, if others may have a part in it. */
  shared?: string | undefined
  /** The number of what the call follows. */
  feed?: number
  /** It changes documents, and must not do so twice. */
  write?: boolean
  /** The name of the transaction that the call belongs to. */
  transaction?: string
  /** It stages a content. */
  stages?: true
  /** The contents that the payload names: they are staged first. */
  contents?: Contents | undefined
}

/** Answers what the engine asks for a replication. */
export type Answering = (name: string, detail: { [member: string]: unknown }, body?: Blob | Uint8Array) => unknown

interface Waiting {
  method: string
  resolve(answer: Uint8Array): void
  reject(error: FirkinError | AbortError): void
}

// Whoever has a database of this page in hand has not its connection.
const connections = new WeakMap<object, Connection>()

/** The line of a `Firkin`; `undefined` of anything else. */
export function connectionOf(database: unknown): Connection | undefined {
  return connections.get(database as object)
}

/** Makes the line of `database` known. */
export function introduce(database: object, connection: Connection): void {
  connections.set(database, connection)
}

/** Opens the database `name`. */
export function connect(name: string, options: DatabaseOptions): Connection {
  checkOptions(options)
  const { durability, revsLimit, documentBytesMax, cacheBytes, index, merge, mergeVersion, signal } = options
  const storage = options.storage ?? (typeof indexedDB === 'undefined' ? 'memory' : 'indexeddb')
  const inWorker = options.worker ?? typeof Worker === 'function'
  const logic = options.logic === undefined ? undefined : logicUrl(options.logic, inWorker)
  const asked = { storage, durability, revsLimit, documentBytesMax, cacheBytes, index, merge, mergeVersion, logic }
  const engineOptions = JSON.parse(JSON.stringify(asked)) as EngineOptions
  const connection = new Connection((fail) => start(inWorker, fail))
  connection.open(name, engineOptions)
  if (storage === 'indexeddb' && inWorker) openEarly(name, (reason) => connection.tell('lost', { reason }))
  if (signal?.aborted) void connection.close()
  else signal?.addEventListener('abort', () => void connection.close(), { once: true })
  return connection
}

/** Where the app's logic is found. */
function logicUrl(logic: URL | string | LogicModule, inWorker: boolean): string {
  if (typeof logic === 'object' && !(logic instanceof URL)) {
    if (inWorker) throw badRequest('logic is the URL of a module, where the engine runs in a worker')
    return handIn(logic)
  }
  try {
    return new URL(logic, globalThis.location?.href).href
  } catch {
    throw badRequest(`logic is the URL of a module, and ${JSON.stringify(logic)} is none`)
  }
}

/** The names of this origin's databases. */
export async function listDatabases(): Promise<string[]> {
  if (typeof indexedDB === 'undefined') return []
  const { promise, resolve, reject } = deferred<string[]>()
  const port = start(typeof Worker === 'function', (error) => reject(error))
  port.receive = (message) => {
    if (message.type === 'listed') resolve(message.names)
    else if (message.type === 'failed') reject(new FirkinError(message.error))
  }
  port.post({ type: 'list', ...wasmMember() })
  return promise.finally(() => port.close())
}

/** The line to one database. */
export class Connection extends Emitter<ConnectionEvents> {
  /** Settles once the database is open, or cannot be. */
  readonly opened: Promise<void>
  /** The name by which other tabs know the database; none of one in memory. */
  sharedName: string | undefined
  readonly #opening = deferred<void>()
  readonly #port: PagePort
  readonly #waiting = new Map<number, Waiting>()
  readonly #answering = new Map<number, Answering>()
  readonly #left = deferred<void>()
  // What this page stages is known by it.
  readonly #uploads = `${randomName()}/`
  #calls = 0
  #failure: FirkinError | undefined
  /** Nothing serves this page, nor ever will. */
  #isAlone = false
  #fallSilent: () => void = () => {}
  #closing: Promise<void> | undefined
  #wasLeft = false
  #destroying: Promise<{ ok: true }> | undefined
  #ended: FirkinError | undefined

  constructor(start: (fail: (error: FirkinError) => void) => PagePort) {
    super()
    this.opened = this.#opening.promise
    this.opened.catch(() => {})
    this.#port = start((error) => {
      this.#isAlone = true
      this.#fail(error)
      this.#left.resolve()
    })
    this.#port.receive = (message) => this.#receive(message)
  }

  /** Whether it was closed, or has ended. */
  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  /** Whether the app closed it; it was not destroyed or lost before. */
  get wasLeft(): boolean {
    return this.#wasLeft
  }

  open(name: string, options: EngineOptions): void {
    this.sharedName = sharedName(name, options)
    this.#port.post({ type: 'open', name, options, ...wasmMember() })
  }

  /** Runs a method of the engine. What `payload` holds is taken down before this returns. */
  async call(method: string, payload: unknown, options: CallOptions = {}): Promise<unknown> {
    this.#check(method, options.signal)
    return this.#callWith(method, encode(payload), options)
  }

  /** As `call`, with many documents: what `head` and they hold is taken down before this returns. */
  async callWithDocs(
    method: string,
    head: object,
    docs: readonly object[],
    options: CallOptions = {},
  ): Promise<unknown> {
    this.#check(method, options.signal)
    return this.#callWith(method, encodeLines(head, docs), options)
  }

  async #callWith(method: string, bytes: Uint8Array<ArrayBuffer>, options: CallOptions): Promise<unknown> {
    const { contents, signal } = options
    if (contents === undefined || contents.size === 0) return decode(await this.send(method, bytes, options))
    return withContents(this, contents, async () => decode(await this.send(method, bytes.slice(), options)), signal)
  }

  /** A name for a content that is to be staged. */
  newUpload(): string {
    return `${this.#uploads}${randomName()}`
  }

  /** As `call`, with a payload and an answer that are bytes. The payload is given away. */
  async send(method: string, bytes: Uint8Array<ArrayBuffer>, options: CallOptions = {}): Promise<Uint8Array> {
    const { signal, replication, fetches, shared, feed, write, transaction, stages } = options
    this.#check(method, signal)
    this.#calls += 1
    const call: Call = { type: 'call', id: this.#calls, method, payload: bytes }
    if (replication !== undefined) call.replication = replication
    if (fetches) call.fetches = true
    if (shared !== undefined) call.shared = shared
    if (feed !== undefined) call.feed = feed
    if (write) call.write = true
    if (transaction !== undefined) call.transaction = transaction
    if (stages) call.uploads = this.#uploads
    const { promise, resolve, reject } = deferred<Uint8Array>()
    const abort = () => {
      this.#waiting.delete(call.id)
      this.#port.post({ type: 'cancel', id: call.id })
      reject(aborted(signal as AbortSignal))
    }
    this.#waiting.set(call.id, { method, resolve, reject })
    signal?.addEventListener('abort', abort)
    this.#port.post(call, [bytes.buffer])
    return promise.finally(() => signal?.removeEventListener('abort', abort))
  }

  #check(method: string, signal: AbortSignal | undefined): void {
    if (signal?.aborted) throw aborted(signal)
    if (this.#ended !== undefined) throw this.#ended
    if (this.#closing !== undefined) throw closed('the database is closed')
    if (this.#failure !== undefined && (this.#isAlone || !UNOPENED.includes(method))) throw this.#failure
    if (this.#failure?.code === 'outdated' && method === 'repair') throw this.#failure
  }

  /** Has `answer` asked what the engine asks for the replication of this number; the function returned ends that. */
  onQuestions(replication: number, answer: Answering): () => void {
    this.#answering.set(replication, answer)
    return () => this.#answering.delete(replication)
  }

  /** Tells all tabs, this one among them, how far something is that this page does, or what it has found out. */
  tell<Name extends 'progress' | 'lost'>(name: Name, detail: ConnectionEvents[Name]): void {
    this.emit(name, detail)
    if (!this.isClosed) this.#port.post({ type: 'event', name, json: JSON.stringify(detail) })
  }

  /** Ends the connection once what was begun is done. */
  close(): Promise<void> {
    this.#wasLeft ||= this.#closing === undefined
    this.#closing ??= this.#leave()
    return this.#closing
  }

  /** Deletes the database, and ends the connection. That is done once; it can be tried again where it failed. */
  destroy(): Promise<{ ok: true }> {
    this.#destroying ??= this.#destroy().catch((error) => {
      this.#destroying = undefined
      throw error
    })
    return this.#destroying
  }

  async #destroy(): Promise<{ ok: true }> {
    await this.call('destroy', {})
    this.#end('the database was destroyed')
    return { ok: true }
  }

  async #leave(): Promise<void> {
    this.#port.post({ type: 'close' })
    await this.#left.promise
    this.#end('the database is closed')
  }

  #receive(message: ToPage): void {
    switch (message.type) {
      case 'result':
        this.#settle(message.id, (waiting) => waiting.resolve(message.payload))
        break
      case 'refused':
        this.#settle(message.id, (waiting) => waiting.reject(errorOf(message.error)))
        break
      case 'event':
        this.#happened(message.name, JSON.parse(message.json) as never)
        break
      case 'ask':
        void this.#answer(message)
        break
      case 'opened':
        // It may have failed before, and was repaired.
        this.#failure = undefined
        this.#opening.resolve()
        break
      case 'failed':
        this.#fail(new FirkinError(message.error))
        break
      case 'left':
        this.#left.resolve()
        break
      case 'startLogic':
        relayLogic(message.port)
    }
  }

  #settle(id: number, settle: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    settle(waiting)
  }

  #happened(name: string, detail: never): void {
    // The last that the member says: the database was destroyed by another tab, or lost.
    if (name === 'closed') this.#end((detail as ConnectionEvents['closed']).reason)
    else this.emit(name as keyof ConnectionEvents, detail)
    if (name === 'leader') this.#speak((detail as ConnectionEvents['leader']).leading)
  }

  /** While the engine runs for this page, the page says so where the engine is too busy to. */
  #speak(leading: boolean): void {
    this.#fallSilent()
    this.#fallSilent = leading && this.sharedName !== undefined ? speakForEngine(this.sharedName) : () => {}
  }

  async #answer({ id, name, json, body }: Question): Promise<void> {
    try {
      const detail = JSON.parse(json) as { [member: string]: unknown }
      const answer = this.#answering.get(Number(detail.replication))
      if (answer === undefined) throw closed('the replication has ended')
      const answered = (await answer(name, detail, body)) ?? {}
      if (answered instanceof Uint8Array) this.#port.post({ type: 'answer', id, bytes: answered })
      else this.#port.post({ type: 'answer', id, json: JSON.stringify(answered) })
    } catch (error) {
      this.#port.post({ type: 'answer', id, error: reportOf(error) })
    }
  }

  #fail(error: FirkinError): void {
    this.#failure ??= error
    this.#opening.reject(error)
    const isServed = !this.#isAlone && this.#ended === undefined
    for (const [id, { method, reject }] of this.#waiting) {
      if (isServed && UNOPENED.includes(method)) continue
      this.#waiting.delete(id)
      reject(error)
    }
  }

  #end(reason: string): void {
    this.#closing ??= Promise.resolve()
    if (this.#ended !== undefined) return
    this.#ended = closed(reason)
    this.#fail(this.#ended)
    this.#port.close()
    this.#fallSilent()
    this.emit('closed', { reason })
  }
}

function errorOf(report: ErrorReport): FirkinError | AbortError {
  return report.name === 'aborted' ? aborted(AbortSignal.abort()) : new FirkinError(report)
}
