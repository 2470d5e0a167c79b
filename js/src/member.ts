// One member of the tabs that share a database: it works for one page, in that page's worker.
//
// One member leads: it holds the Web Lock of the database and runs the engine. The others send their page's calls to it
// and wait for the lock; the platform gives it to one of them when the leader ends, however it ends. So **only the
// holder of the lock ever opens the engine**.
//
// A database in memory is not shared: its member leads alone, without a lock.

import { Backlog } from './backlog.js'
import { encode } from './encode.js'
import { reportOf, storageFailed } from './errors.js'
import { destroyDatabase, Leader } from './leader.js'
import { checkOrigin, type StartThread } from './logic.js'
import { type Letter, Mail, type Notice } from './mail.js'
import type { Call, EngineOptions, FromPage, Outcome, Request, Response, ToPage } from './messages.js'
import type { Port } from './port.js'

/** The name by which a leading member is its own client and its own leader. */
const OWN = 'own'

/** How long a leader that leaves still tells others that it serves no more: letters on their way arrive within it. */
const FAREWELL_MS = 20

export class Member {
  readonly #page: Port<ToPage, FromPage>
  readonly #name: string
  readonly #options: EngineOptions
  readonly #wasm: string | undefined
  readonly #startLogic: StartThread
  readonly #backlog: Backlog
  readonly #ending = new AbortController()
  /** Whose ends this member waits for, as their leader. */
  readonly #clients = new Set<string>()
  /** The way to the others; none of a database in memory. */
  #mail: Mail | undefined
  /** The member that leads; `OWN` when it is this one. */
  #leader: string | undefined
  #engine: Leader | undefined
  #opened = false
  #failed = false

  constructor(
    page: Port<ToPage, FromPage>,
    name: string,
    options: EngineOptions,
    wasm: string | undefined,
    startLogic: StartThread,
  ) {
    this.#page = page
    this.#name = name
    this.#options = options
    this.#wasm = wasm
    this.#startLogic = startLogic
    this.#backlog = new Backlog(
      (call) => this.#toLeader(call),
      (outcome) => this.#page.post(outcome),
    )
  }

  /** Joins the others, as their leader if there is none. */
  async join(): Promise<void> {
    try {
      if (this.#options.logic !== undefined) checkOrigin(this.#options.logic)
      if (this.#options.storage === 'memory') return await this.#lead()
      this.#mail = openMail(this.#name)
      this.#mail.onNotice = (notice) => this.#noticed(notice)
      this.#mail.onLetter = (letter) => this.#received(letter)
      await this.#mail.live()
      const term = navigator.locks.request(lockName(this.#name), { signal: this.#ending.signal }, () => this.#lead())
      this.#mail.notify({ type: 'whoLeads' })
      await term
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#fail(error)
    }
  }

  /** What the page says. */
  receive(message: FromPage): void {
    if (message.type === 'answer') this.#toLeader(message)
    else if (message.type === 'close') void this.#leave()
    else if (message.type === 'call') {
      if (this.#failed && message.method === 'destroy') void this.#destroyUnopened(message.id)
      else this.#backlog.add(message)
    }
  }

  /** Runs the engine until this member ends. */
  async #lead(): Promise<void> {
    if (this.#ending.signal.aborted) return
    const engine = new Leader(this.#name, this.#options, this.#wasm, {
      send: (client, response) => this.#toClient(client, response),
      tell: (event) => {
        this.#page.post(event)
        this.#mail?.notify(event)
      },
      destroyed: () => {
        this.#mail?.notify({ type: 'destroyed' })
        this.#end('the database was destroyed')
      },
      lost: (reason) => this.#end(reason),
      startLogic: this.#startLogic,
    })
    try {
      await engine.open()
    } catch (error) {
      return this.#fail(error)
    }
    this.#engine = engine
    this.#announce()
    this.#follow(OWN)
    await whenAborted(this.#ending.signal)
    await this.#resign(engine)
  }

  async #resign(engine: Leader): Promise<void> {
    if (this.#mail !== undefined) this.#mail.notify({ type: 'leaves', leader: this.#mail.member })
    await engine.leave().catch(() => {})
    if (this.#clients.size > 0) await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))
    this.#depart()
  }

  #follow(leader: string | undefined): void {
    if (this.#leader === leader) return
    this.#leader = leader
    if (leader !== undefined) {
      if (!this.#opened) this.#page.post({ type: 'opened' })
      this.#opened = true
      this.#page.post({ type: 'event', name: 'leader', json: JSON.stringify({ leading: leader === OWN }) })
    }
    this.#backlog.follow(leader)
  }

  #noticed(notice: Notice): void {
    const leads = this.#engine !== undefined
    if (notice.type === 'event') this.#page.post(notice)
    else if (notice.type === 'destroyed') void this.#destroyedByOther()
    else if (notice.type === 'whoLeads' && leads) this.#announce()
    else if (notice.type === 'leads' && !leads) this.#led(notice.leader, notice.logic)
    else if (notice.type === 'leaves' && notice.leader === this.#leader) this.#follow(undefined)
  }

  #announce(): void {
    const { logic } = this.#options
    const more = logic === undefined ? {} : { logic }
    if (this.#mail !== undefined) this.#mail.notify({ type: 'leads', leader: this.#mail.member, ...more })
  }

  #led(leader: string, logic: string | undefined): void {
    if (leader !== this.#leader && logic !== this.#options.logic) {
      const [asked, holds] = [this.#options.logic, logic].map((url) => url ?? 'none')
      console.warn(
        `firkin: the logic of ${JSON.stringify(this.#name)} is ${holds}, as the tab that leads has it; this one asked for ${asked}`,
      )
    }
    this.#follow(leader)
  }

  #received(letter: Letter): void {
    if (!('from' in letter)) {
      this.#toPage(letter.message)
      return
    }
    const { from, message } = letter
    if (this.#engine === undefined) return
    if (!this.#clients.has(from)) {
      this.#clients.add(from)
      this.#mail?.outlive(from, () => this.#forget(from))
    }
    this.#engine.receive(from, message)
  }

  #forget(client: string): void {
    this.#clients.delete(client)
    this.#mail?.forget(client)
    this.#engine?.forget(client)
  }

  #toLeader(request: Request): void {
    if (this.#engine !== undefined) this.#engine.receive(OWN, request)
    else if (this.#leader !== undefined) {
      this.#mail?.send(this.#leader, { from: this.#mail.member, message: request })
    }
  }

  #toClient(client: string, response: Response): void {
    if (client === OWN) this.#toPage(response)
    else this.#mail?.send(client, { message: response })
  }

  #toPage(response: Response): void {
    if (response.type === 'event' || response.type === 'ask') this.#page.post(response)
    else this.#backlog.outcome(response)
  }

  #fail(error: unknown): void {
    this.#failed = true
    this.#page.post({ type: 'failed', error: reportOf(error) })
  }

  /** Ends once the page's calls have their outcomes. */
  async #leave(): Promise<void> {
    for (const { replication } of this.#backlog.replications()) {
      if (replication !== undefined) this.#backlog.add(cancelCall(replication))
    }
    this.#backlog.endFeeds()
    if (!this.#failed) await this.#backlog.empty()
    this.#end()
  }

  /** The database is no longer there for this member; `reason` is told to a page that did not ask for it. */
  #end(reason?: string): void {
    if (this.#ending.signal.aborted) return
    if (reason !== undefined) this.#page.post({ type: 'event', name: 'closed', json: JSON.stringify({ reason }) })
    this.#ending.abort()
    if (this.#engine === undefined) this.#depart()
  }

  #depart(): void {
    this.#mail?.close()
    this.#page.post({ type: 'left' })
  }

  async #destroyedByOther(): Promise<void> {
    // The lock may have passed to this member before it heard of the end: then it holds a new, empty database.
    if (this.#engine !== undefined) {
      await this.#engine.leave()
      await destroyDatabase(this.#name, this.#options, this.#wasm)
    }
    this.#end('the database was destroyed by another tab')
  }

  /** A database that cannot be opened can be destroyed all the same. */
  async #destroyUnopened(id: number): Promise<void> {
    let outcome: Outcome = { type: 'result', id, payload: new Uint8Array() }
    try {
      await navigator.locks.request(lockName(this.#name), () => destroyDatabase(this.#name, this.#options, this.#wasm))
      this.#mail?.notify({ type: 'destroyed' })
    } catch (error) {
      outcome = { type: 'refused', id, error: reportOf(error) }
    }
    this.#page.post(outcome)
    if (outcome.type === 'result') this.#end()
  }
}

const lockName = (database: string) => `firkin:${database}`

function openMail(database: string): Mail {
  if (globalThis.navigator?.locks === undefined) {
    throw storageFailed(
      'a database in IndexedDB needs Web Locks, which browsers give to secure pages only (https, localhost)',
    )
  }
  return new Mail(database)
}

function cancelCall(replication: number): Call {
  return {
    type: 'call',
    id: -replication,
    method: 'cancelReplication',
    payload: encode({ id: replication }),
    replication,
  }
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
