// Transactions: a body of reads and writes that counts as one step at one moment.
//
// The engine keeps a transaction by a random name, from `begin` to `commit`. Where others have changed meanwhile what the
// body has read, nothing is written and the body is run again, on a new transaction; from the second run on it runs in
// its turn, which is when the commits of other transactions wait for it. It is run again as well where the engine does
// not know the name any more, as after the tab that led was closed: nothing of that run was written then. A commit that
// was under way at that moment is asked for again, as all writes are, and the next engine knows whether it took effect.

import type { Connection } from './connection.js'
import { identified, withAttribution } from './document.js'
import { aborted, badRequest, closed, type ErrorReport, FirkinError, reportOf } from './errors.js'
import type { FindQuery, FindResult } from './query-types.js'
import { randomName } from './random.js'
import type {
  Abortable,
  AnyDocument,
  Durability,
  Existing,
  GetOptions,
  PutOptions,
  Tombstone,
  ValueOptions,
  Writable,
  Written,
} from './types.js'

export interface TransactionOptions extends Abortable {
  durability?: Durability | undefined
  /** How often the body is run again at most where others have changed what it read; default 10. */
  retries?: number
}

/** An operation of a JSON Patch (RFC 6902). Its places are JSON Pointers: `/address/city`, `/tags/0`, `/tags/-`. */
export type PatchOperation =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; from: string; path: string }

const RETRIES = 10
const PAUSE_MS_MAX = 100

type Operate = (operation: string, asked: () => object) => Promise<unknown>

/** What the body of a transaction works with. It is of no use after the body has ended. */
export class Transaction<Doc extends object = AnyDocument> {
  readonly #operate: Operate

  /** Made by `db.transaction`. */
  constructor(operate: Operate) {
    this.#operate = operate
  }

  /** The document, as this transaction has left it; else as it was when the transaction began. */
  get<Shape extends object = Doc>(id: string, options?: Omit<GetOptions, 'signal'>): Promise<Existing<Shape>>
  /** What stands at a path of the document; `undefined` if nothing does. */
  get<Value = unknown>(id: string, options: Omit<ValueOptions, 'signal'>): Promise<Value | undefined>
  get(id: string, options: Omit<GetOptions, 'signal'> | Omit<ValueOptions, 'signal'> = {}): Promise<unknown> {
    return this.#operate('get', () => {
      if (typeof id !== 'string') throw badRequest('the id of a document is a string')
      return 'path' in options ? { id, path: options.path } : { id, options }
    })
  }

  /** The documents that a selector matches, what this transaction has written among them. */
  find<Shape extends object = Doc>(query: Omit<FindQuery, 'signal'>): Promise<FindResult<Shape>> {
    return this.#operate('find', () => ({ query: query ?? {} })) as Promise<FindResult<Shape>>
  }

  /** Writes a document: a new one without `_rev`, else the next revision of the one that `_rev` names. */
  put(doc: Writable<Doc> | Tombstone, options: Pick<PutOptions, 'author' | 'message' | 'time'> = {}): Promise<Written> {
    return this.#operate('put', () => ({ doc: withAttribution(identified(doc), options) })) as Promise<Written>
  }

  /** Removes the document: writes a tombstone on top of the revision. */
  remove(doc: { _id: string; _rev: string }): Promise<Written>
  remove(id: string, rev: string): Promise<Written>
  remove(target: string | { _id: string; _rev: string }, rev?: string): Promise<Written> {
    return this.#operate('remove', () => {
      const { _id, _rev } = typeof target === 'string' ? { _id: target, _rev: rev } : identified(target)
      return { id: _id, rev: _rev }
    }) as Promise<Written>
  }

  /** Changes the document by a JSON Patch. 409 `conflict` where the patch does not fit it, or a `test` of it fails. */
  patch(id: string, patch: readonly PatchOperation[]): Promise<Written> {
    return this.#operate('patch', () => ({ id, patch })) as Promise<Written>
  }
}

/** Runs `body` until it has gone through undisturbed, and answers what it does. */
export async function transact<Doc extends object, Answer>(
  connection: Connection,
  body: (tx: Transaction<Doc>) => Answer | Promise<Answer>,
  options: TransactionOptions,
): Promise<Answer> {
  const { retries = RETRIES, durability, signal } = options
  if (typeof body !== 'function') throw badRequest('a transaction is a function')
  if (!Number.isInteger(retries) || retries < 0) throw badRequest('retries is a whole number, 0 or more')
  let disturbed: Disturbed = { ids: [], lost: false }
  for (let run = 0; run <= retries; run += 1) {
    if (run > 0) await pause(Math.random() * Math.min(2 ** run, PAUSE_MS_MAX))
    const outcome = await new Attempt(connection, signal).run(body, run > 0, durability)
    if ('answer' in outcome) return outcome.answer
    disturbed = outcome
  }
  throw inVain(retries + 1, disturbed)
}

/** Nothing was written: others have changed these documents, or the engine does not know the transaction any more. */
interface Disturbed {
  ids: string[]
  lost: boolean
}

/** One run of a body. */
class Attempt {
  readonly #connection: Connection
  readonly #signal: AbortSignal | undefined
  readonly #name = randomName()
  readonly #underWay = new Set<Promise<unknown>>()
  #hasWritten = false
  #hasEnded = false
  #isLost = false
  /** Why a write was refused. */
  #refusal: unknown

  constructor(connection: Connection, signal: AbortSignal | undefined) {
    this.#connection = connection
    this.#signal = signal
  }

  async run<Doc extends object, Answer>(
    body: (tx: Transaction<Doc>) => Answer | Promise<Answer>,
    turn: boolean,
    durability: Durability | undefined,
  ): Promise<{ answer: Answer } | Disturbed> {
    let open = true
    try {
      await this.#call('begin', { turn })
      const tx = new Transaction<Doc>((operation, asked) => this.#operate(operation, asked))
      const answer = await unlessAborted(this.#signal, Promise.resolve(body(tx)))
      // What the body did not wait for is part of it.
      while (this.#underWay.size > 0) await unlessAborted(this.#signal, Promise.allSettled(this.#underWay))
      this.#hasEnded = true
      if (this.#isLost) return { ids: [], lost: true }
      if (this.#refusal !== undefined) throw this.#refusal
      if (!this.#hasWritten) return { answer }
      open = false
      const { changed } = (await this.#call('commit', { options: { durability } }, true)) as { changed?: string[] }
      return changed === undefined ? { answer } : { ids: changed, lost: false }
    } catch (error) {
      if (this.#isLost && !this.#signal?.aborted) return { ids: [], lost: true }
      throw error
    } finally {
      this.#hasEnded = true
      if (open) this.#abort()
    }
  }

  #abort(): void {
    const transaction = this.#name
    this.#connection.call('abort', { transaction }, { transaction }).catch(() => {})
  }

  /** Nobody need wait for the promise: a write that is refused ends the transaction, whether the body looks or not. */
  #operate(operation: string, asked: () => object): Promise<unknown> {
    const answer = this.#answer(operation, asked)
    this.#underWay.add(answer)
    answer.catch(() => {}).finally(() => this.#underWay.delete(answer))
    return answer
  }

  async #answer(operation: string, asked: () => object): Promise<unknown> {
    if (this.#hasEnded) throw closed('the transaction has ended')
    const writes = operation !== 'get' && operation !== 'find'
    let payload: { id?: unknown; doc?: { _id?: unknown } } = {}
    try {
      payload = asked()
      const answer = await this.#call('operate', { ...payload, operation })
      this.#hasWritten ||= writes
      return answer
    } catch (error) {
      const told = naming(payload.id ?? payload.doc?._id, error)
      if (writes) this.#refusal ??= told
      throw told
    }
  }

  async #call(method: string, payload: object, write = false): Promise<unknown> {
    const transaction = this.#name
    const options = { signal: this.#signal, transaction, write }
    try {
      return await this.#connection.call(method, { ...payload, transaction }, options)
    } catch (error) {
      if ((error as FirkinError).code !== 'transaction_gone') throw error
      this.#isLost = true
      throw closed('the transaction was lost with the tab that led, or was left alone for too long')
    }
  }
}

/** The error of an operation; a conflict names the document. */
function naming(id: unknown, error: unknown): unknown {
  const report = reportOf(error)
  return report.status === 409 && typeof id === 'string' ? new FirkinError({ ...report, ids: [id] }) : error
}

function inVain(runs: number, { ids, lost }: Disturbed): FirkinError {
  if (lost) return closed(`the transaction was run ${runs} times, and was lost each time; nothing of it was written`)
  const report: ErrorReport = {
    status: 409,
    name: 'conflict',
    reason: `the transaction was run ${runs} times, and what it had read was changed each time, by others, or by calls of db inside the body where it should call tx; at last: ${ids.join(', ')}`,
    ids,
  }
  return new FirkinError(report)
}

function unlessAborted<Value>(signal: AbortSignal | undefined, promise: Promise<Value>): Promise<Value> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(aborted(signal))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function pause(duration_ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration_ms))
}
