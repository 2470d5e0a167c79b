// One member of the tabs that share a database: it works for one page, in that page's worker.
//
// One member leads for a term: it holds the Web Lock of the database and runs the engine. The others send their page's calls
// to it and wait for the lock; the platform gives it to one of them when the leader ends, however it ends. So **only the
// holder of the lock ever opens the engine**. From a leader that is frozen (`pulse.ts`) the lock is stolen; when it wakes up, what
// it writes is refused, and it follows like any other.
//
// A leader whose storage the browser takes away gives up its term; whoever has the next turn opens the storage again, if the
// database is still there: **a member goes on with the database that it has known, or ends**.
//
// A database in memory is not shared: its member leads alone, without a lock.

import { Backlog } from './backlog.js'
import { encode } from './encode.js'
import { outdated, reportOf } from './errors.js'
import { Leader } from './leader.js'
import { checkOrigin, type StartThread } from './logic.js'
import { type Letter, Mail, type Notice } from './mail.js'
import {
  type Call,
  type Cancel,
  type EngineOptions,
  type EventMessage,
  type FromPage,
  type Request,
  type Response,
  sharedName,
  type ToPage,
} from './messages.js'
import type { Port } from './port.js'
import { Pulse } from './pulse.js'
import { randomName } from './random.js'
import type { Asked } from './rescue.js'
import { checkLocks, destroyDatabase } from './stored.js'
import { Turns } from './turns.js'
import { Unopened } from './unopened.js'
import { BUILD, NewerBuilds, PROTOCOL, VERSION } from './version.js'

/** The name by which a member of a database in memory is its own client. */
const OWN = 'own'

/** How long a leader that leaves still tells others that it serves no more: letters on their way arrive within it. */
const FAREWELL_MS = 20

/** How often a database that was there is tried to be opened again where the browser loses the connection, and how soon. */
const RECONNECTIONS_MAX = 20
const RECONNECT_MS = 250

/** What a member has for as long as it leads. */
interface Reign {
  term: string
  engine: Leader
  /** Before its engine was opened, the database was repaired or taken from a backup, as an app has asked: it is another replica. */
  rescued: boolean
}

export class Member {
  readonly #page: Port<ToPage, FromPage>
  readonly #name: string
  readonly #options: EngineOptions
  /** The name by which the tabs know the database. */
  readonly #shared: string | undefined
  readonly #wasm: string | undefined
  readonly #startLogic: StartThread
  readonly #backlog: Backlog
  readonly #ending = new AbortController()
  /** Whose ends this member waits for, as their leader. */
  readonly #clients = new Set<string>()
  /** The way to the others; none of a database in memory. */
  #mail: Mail | undefined
  /** Who leads, as far as this member knows. */
  #followed: { leader: string; term: string } | undefined
  /** The latest term that this member has known. */
  #latestTerm: string | undefined
  /** Its own term, when it leads. */
  #reign: Reign | undefined
  /** Aborted when another takes over from this member; it has one from the moment on in which it has the lock. */
  #deposed = new AbortController()
  #pulse: Pulse | undefined
  readonly #turns: Turns
  /** Settles when it takes turns no longer. */
  #turn: Promise<void> | undefined
  readonly #newer: NewerBuilds
  /** Settles once a leader that has slept knows whether it leads still. */
  #waking: Promise<unknown> | undefined
  /** What is to be done before the next engine is opened. */
  #rescue: Asked | undefined
  #opened = false
  /** The identity of the database. */
  #identity: string | undefined
  #reconnections = 0
  /** Why the database is not open for this member, and what can be done to it all the same. */
  readonly #unopened: Unopened

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
    this.#shared = sharedName(name, options)
    this.#turns = new Turns(this.#shared ?? name)
    this.#wasm = wasm
    this.#startLogic = startLogic
    this.#backlog = new Backlog(
      (call) => this.#toLeader(call),
      (outcome) => this.#page.post(outcome),
    )
    this.#newer = new NewerBuilds((version) => {
      page.post({ type: 'event', name: 'outdated', json: JSON.stringify({ version, own: VERSION }) })
    })
    this.#unopened = new Unopened(page, this.#backlog, name, options, wasm)
  }

  /** Joins the others, as their leader if there is none. */
  async join(): Promise<void> {
    try {
      if (this.#options.logic !== undefined) checkOrigin(this.#options.logic)
      if (this.#shared === undefined) return await this.#lead()
      checkLocks()
      this.#mail = new Mail(this.#shared)
      this.#mail.onNotice = (notice) => this.#noticed(notice)
      this.#mail.onLetter = (letter) => this.#received(letter)
      await this.#mail.live()
      this.#pulse = new Pulse(
        this.#shared,
        () => void this.#takeOver(),
        () => this.#wake(),
      )
      const turn = this.#takeTurns()
      this.#mail.notify({ type: 'whoLeads', ...BUILD })
      await turn
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#fail(error)
    }
  }

  /** What the page says. */
  receive(message: FromPage): void {
    if (message.type === 'answer') this.#toLeader(message)
    else if (message.type === 'event') this.#mail?.notify(message)
    else if (message.type === 'cancel') this.#cancel(message)
    else if (message.type === 'close') void this.#leave()
    else if (message.type === 'call') this.#asked(message)
  }

  #asked(call: Call): void {
    if (this.#unopened.isFailed && call.method === 'destroy') void this.#destroyUnopened(call.id)
    else if (this.#unopened.isFailed && call.method === 'repair') void this.#repairUnopened(call)
    else this.#backlog.add(call)
  }

  /** Leads whenever it is this member's turn, until it ends. */
  #takeTurns(): Promise<void> {
    const goesOn = () => !this.#ending.signal.aborted && !this.#unopened.isFailed
    this.#turn = this.#turns.take(
      goesOn,
      () => this.#lead(),
      () => this.#deposed.abort(),
    )
    return this.#turn
  }

  /** Takes the turn of a leader that is frozen. */
  #takeOver(): Promise<void> {
    const frozen = this.#followed?.term
    const isDue = () => this.#reign === undefined && this.#followed?.term === frozen
    return this.#turns.steal(() => isDue() && !this.#ending.signal.aborted && !this.#unopened.isFailed)
  }

  get #self(): string {
    return this.#mail?.member ?? OWN
  }

  /** Runs the engine until this member ends, or another takes over. */
  async #lead(): Promise<void> {
    this.#pulse?.lead()
    if (this.#ending.signal.aborted) return
    const term = randomName()
    const deposed = new AbortController()
    this.#deposed = deposed
    const lost = (reason: string) => {
      if (!deposed.signal.aborted) this.#end(reason)
    }
    const renewed = new AbortController()
    const asked = this.#rescue
    this.#rescue = undefined
    if (asked?.client === this.#self) this.#unopened.tries(asked.call)
    const around = {
      send: (client: string, response: Response) => this.#toClient(client, term, response),
      tell: (event: EventMessage) => {
        this.#page.post(event)
        this.#mail?.notify(event)
      },
      destroyed: () => {
        this.#mail?.notify({ type: 'destroyed' })
        this.#end('the database was destroyed')
      },
      rescue: (asked: Asked) => {
        this.#rescue ??= asked
        renewed.abort()
      },
      lost,
      deposed: () => deposed.abort(),
      startLogic: this.#startLogic,
    }
    const engine = new Leader(this.#self, this.#name, this.#options, this.#wasm, around, asked)
    try {
      // What is asked for may make another replica of it.
      await engine.open(asked === undefined ? this.#identity : undefined, this.#backlog.holdsWrites)
    } catch (error) {
      this.#pulse?.follow()
      if (!deposed.signal.aborted) await this.#notOpened(error)
      return
    }
    this.#reconnections = 0
    // The lock may have been stolen meanwhile.
    if (deposed.signal.aborted) {
      this.#pulse?.follow()
      engine.leave().catch(() => {})
      return
    }
    this.#identity = engine.identity
    this.#reign = { term, engine, rescued: asked !== undefined }
    this.#announce()
    this.#follow({ leader: this.#self, term })
    await Promise.race([this.#ending, deposed, renewed].map(({ signal }) => whenAborted(signal)))
    if (this.#ending.signal.aborted) await this.#resign(term, engine)
    else if (deposed.signal.aborted) this.#stepDown(engine)
    else await this.#renew(term, engine)
  }

  async #notOpened(error: unknown): Promise<void> {
    const { name, reason } = reportOf(error)
    if (name === 'fenced') return
    if (name === 'gone') this.#end(reason)
    else if (name === 'closed' && this.#opened && this.#reconnections < RECONNECTIONS_MAX) {
      this.#reconnections += 1
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS))
    } else this.#fail(error)
  }

  /** Leaves the engine, and leads on with another one, for another term: what has no outcome yet is asked of that. */
  async #renew(term: string, engine: Leader): Promise<void> {
    this.#mail?.notify({ type: 'leaves', term })
    this.#reign = undefined
    this.#follow(undefined)
    const deposed = this.#deposed
    await engine.leave().catch(() => {})
    if (deposed.signal.aborted) this.#pulse?.follow()
    else await this.#lead()
  }

  async #resign(term: string, engine: Leader): Promise<void> {
    this.#mail?.notify({ type: 'leaves', term })
    await engine.leave().catch(() => {})
    if (this.#clients.size > 0) await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))
    this.#depart()
  }

  /** Another is to lead: what the page has asked for is asked of that one, and this engine ends, whatever it is in the middle of. */
  #stepDown(engine: Leader): void {
    const term = this.#reign?.term
    this.#reign = undefined
    this.#pulse?.follow()
    if (this.#followed?.term === term) this.#follow(undefined)
    this.#mail?.notify({ type: 'whoLeads', ...BUILD })
    engine.leave().catch(() => {})
  }

  #follow(leader: { leader: string; term: string } | undefined): void {
    if (this.#followed?.term === leader?.term) return
    this.#followed = leader
    if (leader !== undefined) {
      this.#latestTerm = leader.term
      if (!this.#opened) this.#page.post({ type: 'opened' })
      this.#opened = true
      const leading = leader.leader === this.#self
      this.#page.post({ type: 'event', name: 'leader', json: JSON.stringify({ leading }) })
    }
    this.#backlog.follow(leader?.term)
  }

  #noticed(notice: Notice): void {
    const leads = this.#reign !== undefined
    if ((notice.type === 'whoLeads' || notice.type === 'leads') && this.#newer.meet(notice))
      void this.#giveWay(notice.version)
    if (notice.type === 'event') this.#page.post(notice)
    else if (notice.type === 'destroyed') void this.#destroyedByOther()
    else if (this.#unopened.isFailed) void this.#hearsOfOthers(notice)
    else if (notice.type === 'whoLeads' && leads) this.#announce()
    else if (notice.type === 'leads' && notice.protocol === PROTOCOL) this.#led(notice)
    else if (notice.type === 'leaves' && notice.term === this.#followed?.term) this.#follow(undefined)
  }

  /** What could not be opened here was opened by another, which may have repaired it: this member follows that one. */
  async #hearsOfOthers(notice: Notice): Promise<void> {
    if (notice.type !== 'leads' || notice.protocol !== PROTOCOL) return
    await this.#turn?.catch(() => {})
    if (this.#ending.signal.aborted || !this.#unopened.mayPass()) return
    this.#unopened.passes()
    this.#led(notice)
    this.#takeTurns().catch((error) => {
      if (!this.#ending.signal.aborted) this.#fail(error)
    })
  }

  /** Leaves the database to a newer build, once what it is in the middle of is done. */
  async #giveWay(version: string): Promise<void> {
    if (this.#unopened.isFailed || this.#ending.signal.aborted) return
    const error = outdated(
      `another tab has version ${version} of the library, which this one, ${VERSION}, is too old for`,
    )
    this.#unopened.fails(reportOf(error))
    if (this.#reign === undefined) {
      this.#turns.giveUp()
    } else {
      this.#mail?.notify({ type: 'leaves', term: this.#reign.term })
      await this.#reign.engine.leave().catch(() => {})
      this.#deposed.abort()
    }
    this.#fail(error)
  }

  #announce(): void {
    const { logic } = this.#options
    const more = logic === undefined ? {} : { logic }
    if (this.#mail === undefined || this.#reign === undefined) return
    const { term, engine, rescued } = this.#reign
    const { identity } = engine
    if (identity !== undefined) Object.assign(more, { identity })
    if (rescued) Object.assign(more, { rescued })
    this.#mail.notify({ type: 'leads', leader: this.#mail.member, term, ...more, ...BUILD })
  }

  #led({ leader, term, identity, rescued, logic }: Extract<Notice, { type: 'leads' }>): void {
    // What one says who has been stolen from comes late. This member's own lock tells it whether it leads.
    if (this.#reign !== undefined) return
    if (rescued) this.#identity = identity
    this.#identity ??= identity
    if (identity !== undefined && identity !== this.#identity) {
      this.#end('the data of the database are gone, and another has been made in its place')
      return
    }
    if (term !== this.#followed?.term && logic !== this.#options.logic) {
      const [asked, holds] = [this.#options.logic, logic].map((url) => url ?? 'none')
      console.warn(
        `firkin: the logic of ${JSON.stringify(this.#name)} is ${holds}, as the tab that leads has it; this one asked for ${asked}`,
      )
    }
    this.#follow({ leader, term })
  }

  #received(letter: Letter): void {
    if (!('from' in letter)) {
      this.#toPage(letter.term, letter.message)
      return
    }
    const { from, term, message } = letter
    if (this.#reign?.term !== term) return
    if (!this.#clients.has(from)) {
      this.#clients.add(from)
      this.#mail?.outlive(from, () => this.#forget(from))
    }
    this.#serve(from, term, message)
  }

  /** What a leader is asked that has slept waits until it knows whether it leads still. */
  #serve(client: string, term: string, request: Request): void {
    const serve = () => {
      if (this.#reign?.term === term) this.#reign.engine.receive(client, request)
    }
    if (this.#pulse?.hasSlept) this.#wake()
    if (this.#waking === undefined) serve()
    else void this.#waking.then(serve)
  }

  /** Finds out whether it leads still: a lock that was stolen before this was asked is told of before this is answered. */
  #wake(): void {
    this.#waking ??= navigator.locks.query().finally(() => {
      this.#waking = undefined
      this.#pulse?.wake()
    })
  }

  #forget(client: string): void {
    this.#clients.delete(client)
    this.#mail?.forget(client)
    this.#reign?.engine.forget(client)
  }

  #toLeader(request: Request): void {
    if (this.#followed === undefined) return
    const { leader, term } = this.#followed
    if (this.#reign?.term === term) this.#serve(this.#self, term, request)
    else this.#mail?.send(leader, { from: this.#mail.member, term, message: request })
  }

  #cancel(message: Cancel): void {
    if (this.#backlog.cancel(message.id)) this.#toLeader(message)
  }

  #toClient(client: string, term: string, response: Response): void {
    if (client === this.#self) this.#toPage(term, response)
    else this.#mail?.send(client, { term, message: response })
  }

  #toPage(term: string, response: Response): void {
    if (response.type !== 'event' && response.type !== 'ask') this.#backlog.outcome(term, response)
    else if (term === this.#latestTerm) this.#page.post(response)
  }

  #fail(error: unknown): void {
    this.#opened = false
    // What can be done all the same may have been asked for before this was known.
    for (const call of this.#unopened.refuseAll(reportOf(error))) this.#asked(call)
  }

  /** Ends once the page's calls have their outcomes. */
  async #leave(): Promise<void> {
    for (const { replication } of this.#backlog.replications()) {
      if (replication !== undefined) this.#backlog.add(cancelCall(replication))
    }
    this.#backlog.endFeeds()
    if (!this.#unopened.isFailed) await this.#backlog.empty()
    this.#end()
  }

  /** The database is no longer there for this member; `reason` is told to a page that did not ask for it. */
  #end(reason?: string): void {
    if (this.#ending.signal.aborted) return
    if (reason !== undefined) this.#page.post({ type: 'event', name: 'closed', json: JSON.stringify({ reason }) })
    this.#ending.abort()
    this.#turns.giveUp()
    if (this.#reign === undefined) this.#depart()
  }

  #depart(): void {
    this.#pulse?.close()
    this.#mail?.close()
    this.#page.post({ type: 'left' })
  }

  async #destroyedByOther(): Promise<void> {
    // The lock may have passed to this member before it heard of the end: then it holds a new, empty database.
    if (this.#reign !== undefined) {
      await this.#reign.engine.leave()
      await destroyDatabase(this.#name, this.#options, this.#wasm)
    }
    this.#end('the database was destroyed by another tab')
  }

  /** A database that cannot be opened can be repaired: this member does that as soon as it leads. */
  async #repairUnopened(call: Call): Promise<void> {
    if (this.#mail === undefined) return this.#unopened.refuse(call)
    this.#unopened.tries(call)
    await this.#turn?.catch(() => {})
    if (!this.#unopened.isFailed) return this.#backlog.add(call)
    this.#unopened.passes()
    this.#rescue = { client: this.#self, call }
    this.#backlog.add(call)
    this.#mail.notify({ type: 'whoLeads', ...BUILD })
    try {
      await this.#takeTurns()
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#fail(error)
    }
  }

  /** A database that cannot be opened can be destroyed all the same. */
  async #destroyUnopened(id: number): Promise<void> {
    if (!(await this.#unopened.destroy(id))) return
    this.#mail?.notify({ type: 'destroyed' })
    this.#end()
  }
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
