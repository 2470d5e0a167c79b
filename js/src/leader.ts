// The one who runs the engine, and serves all members of the database's tabs with it, its own page among them.
//
// Of each client it knows the replications and transactions that it began, what it follows, the contents that it stages and the
// questions put to it, so that all end when the client does. An engine that has panicked or trapped is never called again: what
// waits for it is refused, and the leader is lost.

import { type Counts, countAll } from './counts.js'
import { decode, encode } from './encode.js'
import { loadAutomerge, loadEngine, loadRescue } from './engine.js'
import { badRequest, closed, type ErrorReport, reportOf } from './errors.js'
import { beginNewLog } from './log.js'
import { Logic, type StartThread } from './logic.js'
import { livingMembers } from './mail.js'
import type { Call, EngineOptions, EventMessage, Outcome, Response as Reply, Request } from './messages.js'
import { nameOf, recordName } from './names.js'
import { type DatabaseFiles, openFiles } from './opfs.js'
import { Questions } from './questions.js'
import { Replications } from './replications.js'
import { type Asked, gone, isRescue, Rescue } from './rescue.js'
import { begins } from './runs.js'
import { destroyDatabase } from './stored.js'
import type { Info } from './types.js'
import type { Engine, Host } from './wasm-glue/engine.js'

/** What a leader needs of those around it. */
export interface Surroundings {
  /** Sends to one client. */
  send(client: string, response: Reply): void
  /** Tells all clients. */
  tell(event: EventMessage): void
  /** The database is deleted, and closed. */
  destroyed(): void
  /** A call asks for what is done without an engine: this one is to be left, and another leader to begin with that. */
  rescue(asked: Asked): void
  /** The engine is of no more use. */
  lost(reason: string): void
  /**
   * Another has taken the database over, or the browser has taken the storage away: nothing that this one does from now on
   * has any effect.
   */
  deposed(): void
  /** Starts what the app's logic runs in. */
  startLogic: StartThread
}

/** How long after the opening the browser begins a new log at the latest: the first answers are out by then. */
const NEW_LOG_MS = 250

export class Leader {
  readonly #self: string
  readonly #name: string
  readonly #options: EngineOptions
  readonly #wasm: string | undefined
  readonly #around: Surroundings
  readonly #rescue: Rescue | undefined
  /** What waits for the engine, while a backup comes in. */
  readonly #held: Asked[] = []
  #waits = false
  readonly #underWay = new Set<{ client: string; call: Call }>()
  readonly #replications: Replications
  /** The clients of open transactions. */
  readonly #transactions = new Map<string, string>()
  /** What clients follow, by its number. */
  readonly #feeds = new Map<number, string>()
  readonly #uploads = new Map<string, string>()
  readonly #questions: Questions
  readonly #ended = new AbortController()
  #engine: Engine | undefined
  /** Settles once the engine that follows a backup is open, or is given up. */
  #opening: Promise<void> | undefined
  /** How much came with a backup. */
  #restored: Counts | undefined
  #logic: Logic | undefined
  #files: DatabaseFiles | undefined
  #leaving = false
  /** Whether the browser is still to begin a new log. */
  #logIsOld = false
  #newLog: ReturnType<typeof setTimeout> | undefined

  /** `self` is the client that it leads for itself; `asked` is to be done before the engine is opened. */
  constructor(
    self: string,
    name: string,
    options: EngineOptions,
    wasm: string | undefined,
    around: Surroundings,
    asked?: Asked,
  ) {
    this.#self = self
    this.#name = name
    this.#options = options
    this.#wasm = wasm
    this.#around = around
    this.#questions = new Questions((client, question) => around.send(client, question))
    const callEngine = (method: string, payload: object) => this.#callSelf(method, payload)
    this.#replications = new Replications(around.send, this.#questions, callEngine)
    this.#rescue = asked === undefined ? undefined : new Rescue(asked)
  }

  /** Opens the database; one whose identity is known must be there, else this fails as `gone`. `isToWrite` says that writes wait. */
  async open(identity: string | undefined, isToWrite: boolean): Promise<void> {
    this.#logIsOld = this.#options.storage === 'indexeddb'
    // A repair, or a backup that comes in, writes without the engine.
    if (this.#rescue !== undefined || isToWrite) this.#beginNewLog()
    await loadEngine(this.#wasm)
    const logic = await this.#loadLogic()
    this.#logic = logic
    try {
      const more = { ...(await this.#parties()), logic: logic !== undefined, identity }
      const options = JSON.stringify({ ...this.#options, ...more })
      const host: Host = {
        event: (name, json) => this.#happened(name, json),
        ask: async (name, json) => {
          if (name === 'weave') return (await loadAutomerge(this.#wasm)).weave(json)
          if (name === 'judge' && logic !== undefined) return logic.judge(json)
          return this.#replications.ask(name, json) as Promise<string>
        },
        fetch: (replication, url, init) => this.#replications.fetch(replication, url, init),
      }
      const opening = { name: this.#name, options, wasm: this.#wasm, host, openFiles: () => this.#openFiles(true) }
      await this.#rescue?.begin(opening, () => void this.#openAtLast(options, host))
      this.#waits = this.#rescue?.isUnderWay === true
      if (!this.#waits) await this.#openEngine(options, host, identity === undefined)
    } catch (error) {
      logic?.close()
      this.#files?.close()
      throw this.#rescue?.cause(error) ?? error
    }
    this.#listen()
  }

  async #openEngine(options: string, host: Host, mayBeNew: boolean): Promise<void> {
    const { Engine } = await loadEngine(this.#wasm)
    this.#files = await this.#openFiles(mayBeNew)
    const engine = await Engine.open(this.#name, options, host, this.#files?.handles)
    if (this.#leaving) {
      await engine.close()
      this.#files?.close()
      return
    }
    this.#engine = engine
    if (this.#options.storage !== 'memory') this.#forgetOthers().catch(() => {})
    if (this.#logIsOld) this.#newLog = setTimeout(() => this.#beginNewLog(), NEW_LOG_MS)
  }

  #beginNewLog(): void {
    if (this.#logIsOld) beginNewLog()
    this.#logIsOld = false
    clearTimeout(this.#newLog)
  }

  async #openFiles(mayBeNew: boolean): Promise<DatabaseFiles | undefined> {
    if (this.#options.storage !== 'opfs') return undefined
    return openFiles(this.#name, mayBeNew, this.#around.lost)
  }

  /** A backup is in, or given up. */
  async #openAtLast(options: string, host: Host): Promise<void> {
    if (this.#leaving) return
    this.#opening = this.#openCounted(options, host).catch((error) => {
      if (!this.#leaving) this.#lose(reportOf(error))
    })
    await this.#opening
    this.#waits = false
    for (const { client, call } of this.#held.splice(0)) void this.#serve(client, call)
  }

  /** What came in is counted before others can write. */
  async #openCounted(options: string, host: Host): Promise<void> {
    await this.#openEngine(options, host, true)
    if (!this.#leaving) this.#restored = await countAll((method, payload) => this.#callSelf(method, payload))
  }

  /** Who opens the database, and who may be in the middle of a write, having led before. */
  async #parties(): Promise<object> {
    if (this.#options.storage === 'memory') return {}
    return { client: recordName(this.#self), living: (await livingMembers()).map(recordName) }
  }

  async #loadLogic(): Promise<Logic | undefined> {
    if (this.#options.logic === undefined) return undefined
    const logic = new Logic(this.#options.logic, this.#name, this.#around.startLogic)
    await logic.load()
    return logic
  }

  /** The identity of the database, once it is open. */
  get identity(): string | undefined {
    return this.#engine?.identity
  }

  receive(client: string, request: Request): void {
    if (request.type === 'call') void this.#serve(client, request)
    else if (request.type === 'cancel') this.#cancel(client, request.id)
    else this.#questions.answered(request)
  }

  #cancel(client: string, id: number): void {
    for (const { client: asker, call } of this.#underWay) {
      if (asker === client && call.id === id) this.#engine?.cancel(nameOf(client, call))
    }
  }

  /** The client is gone: what it began that has no end of its own is ended. */
  forget(client: string): void {
    this.#replications.forget(client)
    for (const [transaction, owner] of this.#transactions) {
      if (owner !== client) continue
      this.#transactions.delete(transaction)
      void this.#tell('abort', { transaction })
    }
    for (const [feed, owner] of this.#feeds) {
      if (owner !== client) continue
      this.#feeds.delete(feed)
      void this.#tell('followEnd', { id: feed })
    }
    if (this.#options.storage !== 'memory') void this.#tell('forgetClient', { client: recordName(client) })
    this.#rescue?.forget(client)
    const prefix = this.#uploads.get(client)
    if (prefix !== undefined) void this.#tell('unstage', { prefix })
    this.#uploads.delete(client)
    this.#questions.forget(client)
  }

  /** Completes once all calls under way have been answered; what is not served any more goes to the next leader. */
  async leave(): Promise<void> {
    this.#leaving = true
    clearTimeout(this.#newLog)
    this.#ended.abort()
    this.#rescue?.end()
    for (const { client, call } of this.#held.splice(0)) this.#around.send(client, { type: 'unserved', id: call.id })
    // Who comes next would take the storage from an engine that is about to open.
    await this.#opening
    const engine = this.#engine
    await engine?.close()
    this.#files?.close()
    this.#logic?.close()
    this.#engine = undefined
    engine?.free()
  }

  async #serve(client: string, call: Call): Promise<void> {
    const { id, method, transaction, feed, uploads } = call
    if (this.#leaving) return this.#around.send(client, { type: 'unserved', id })
    if (method === 'destroy') return this.#destroy(client, id)
    if (isRescue(method)) return this.#serveRescue(client, call)
    if (this.#waits) {
      this.#held.push({ client, call })
      return
    }
    const begun = { client, call }
    this.#underWay.add(begun)
    if (transaction !== undefined) {
      if (method === 'begin') this.#transactions.set(transaction, client)
      else if (method !== 'operate') this.#transactions.delete(transaction)
    }
    if (feed !== undefined && method === 'followEnd') this.#feeds.delete(feed)
    else if (feed !== undefined) this.#feeds.set(feed, client)
    if (uploads !== undefined) this.#uploads.set(client, uploads)
    const run = () => this.#run(client, call)
    const outcome = await (begins(call) ? this.#replications.begin(client, call, run) : run())
    if (this.#underWay.delete(begun)) this.#around.send(client, outcome)
    if (outcome.type === 'refused' && outcome.error.name === 'engine_failed') this.#lose(outcome.error)
  }

  /** The call comes again, of the leader that begins with what it asks for. What is in memory is as it is. */
  async #serveRescue(client: string, call: Call): Promise<void> {
    const { id, method } = call
    const outcome = await this.#rescue?.answer(client, call)
    if (outcome?.type === 'result' && method === 'restoreEnd') {
      await this.#opening
      this.#around.send(client, { type: 'result', id, payload: encode({ ok: true, ...this.#restored }) })
    } else if (outcome !== undefined) {
      this.#around.send(client, outcome)
    } else if (method !== 'repair' && method !== 'restore') {
      this.#around.send(client, { type: 'refused', id, error: reportOf(gone()) })
    } else if (this.#options.storage !== 'memory') {
      try {
        // Without its module the engine would be left in vain, and the database with it.
        await loadRescue(this.#wasm)
        if (this.#leaving) this.#around.send(client, { type: 'unserved', id })
        else this.#around.rescue({ client, call })
      } catch (error) {
        this.#around.send(client, { type: 'refused', id, error: reportOf(error) })
      }
    } else if (method === 'repair') {
      const { doc_count, doc_del_count } = ((await this.#callSelf('info', {})) ?? {}) as Info
      const repaired = { ok: true, blocks: [], lost: [], documents: doc_count + doc_del_count }
      this.#around.send(client, { type: 'result', id, payload: encode(repaired) })
    } else {
      const error = badRequest('a backup of blocks is taken in by a database in IndexedDB or OPFS, and not in memory')
      this.#around.send(client, { type: 'refused', id, error: reportOf(error) })
    }
  }

  async #run(client: string, call: Call): Promise<Outcome> {
    const { id, method, payload, feed, request } = call
    let outcome: Outcome
    try {
      if (this.#engine === undefined) throw closed('the database is closed')
      const served = this.#replications.serve(call)
      if (served !== undefined) return await served
      const again = request?.again ?? false
      const answer = await this.#engine.call(method, payload, this.#requestName(client, call), again)
      outcome = { type: 'result', id, payload: answer }
    } catch (error) {
      outcome = { type: 'refused', id, error: reportOf(error) }
      if (this.#tellsOfLoss(outcome.error)) {
        this.#around.deposed()
        return { type: 'unserved', id }
      }
    }
    // What goes on without an end of its own is cancelled when its leader leaves; it has not ended.
    return this.#leaving && (method === 'replicate' || feed !== undefined) ? { type: 'unserved', id } : outcome
  }

  /** Whether another has taken the database from this engine, or the browser its storage: the next leader serves the call. */
  #tellsOfLoss({ name }: ErrorReport): boolean {
    return name === 'fenced' || (name === 'closed' && this.#options.storage !== 'memory')
  }

  /** By what the engine knows the call. In memory there is no leader after this one, and no read that waits. */
  #requestName(client: string, call: Call): string | undefined {
    return this.#options.storage === 'memory' ? undefined : nameOf(client, call)
  }

  /** What clients have left that went away while nobody led. */
  async #forgetOthers(): Promise<void> {
    const known = ((await this.#callSelf('clients', {})) ?? []) as string[]
    if (known.length === 0) return
    const living = new Set((await livingMembers()).map(recordName))
    for (const client of known) {
      if (!living.has(client)) void this.#tell('forgetClient', { client })
    }
  }

  async #destroy(client: string, id: number): Promise<void> {
    try {
      await this.leave()
      await destroyDatabase(this.#name, this.#options, this.#wasm)
      this.#around.send(client, { type: 'result', id, payload: new Uint8Array() })
      this.#around.destroyed()
    } catch (error) {
      this.#around.send(client, { type: 'refused', id, error: reportOf(error) })
      this.#around.lost('the database could not be destroyed')
    }
  }

  /** Calls the engine where nobody waits for the outcome. */
  async #tell(method: string, payload: object): Promise<void> {
    await this.#callSelf(method, payload).catch(() => {})
  }

  /** A call of the leader's own. */
  async #callSelf(method: string, payload: object): Promise<unknown> {
    const answer = await this.#engine?.call(method, encode(payload), undefined, false)
    return answer === undefined ? undefined : decode(answer)
  }

  #listen(): void {
    const { signal } = this.#ended
    // A trap (memory or stack is used up) rejects no promise of the engine.
    const trapped = (error: unknown) => {
      if (!(error instanceof WebAssembly.RuntimeError)) return
      this.#lose({ status: 500, name: 'engine_failed', reason: `the engine failed: ${error.message}` })
    }
    globalThis.addEventListener?.('error', ({ error }) => trapped(error), { signal })
    globalThis.addEventListener?.('unhandledrejection', ({ reason }) => trapped(reason), { signal })
  }

  #lose(error: ErrorReport): void {
    clearTimeout(this.#newLog)
    this.#engine = undefined
    this.#replications.endAll()
    this.#files?.close()
    this.#logic?.close()
    for (const { client, call } of this.#underWay) {
      this.#around.send(client, { type: 'refused', id: call.id, error })
    }
    this.#underWay.clear()
    this.#around.lost(error.reason)
  }

  #happened(name: string, json: string): void {
    const event: EventMessage = { type: 'event', name, json }
    if (name === 'closed') {
      this.#around.lost((JSON.parse(json) as { reason: string }).reason)
    } else if (name === 'disconnected') {
      this.#around.deposed()
    } else if (name === 'writes') {
      this.#beginNewLog()
    } else if (name === 'replication') {
      this.#replications.happened(json)
    } else {
      this.#around.tell(event)
    }
  }
}
