// What is left of a database that does not open: what is asked of it is refused, but for a repair and its end.

import type { Backlog } from './backlog.js'
import { type ErrorReport, reportOf } from './errors.js'
import { type Call, type EngineOptions, type FromPage, type ToPage, UNOPENED } from './messages.js'
import type { Port } from './port.js'
import { destroyUnopened } from './stored.js'

/** The failures of the storage, which another member may have mended. */
const PASSING = ['storage_failed', 'quota_exceeded']

export class Unopened {
  readonly #page: Port<ToPage, FromPage>
  readonly #backlog: Backlog
  readonly #name: string
  readonly #options: EngineOptions
  readonly #wasm: string | undefined
  #failure: ErrorReport | undefined
  /** The page's last repair that was begun. */
  #tried: number | undefined

  constructor(
    page: Port<ToPage, FromPage>,
    backlog: Backlog,
    name: string,
    options: EngineOptions,
    wasm: string | undefined,
  ) {
    this.#page = page
    this.#backlog = backlog
    this.#name = name
    this.#options = options
    this.#wasm = wasm
  }

  get isFailed(): boolean {
    return this.#failure !== undefined
  }

  fails(failure: ErrorReport): void {
    this.#failure = failure
  }

  /** Whether it may be opened yet: neither what it was opened with is refused, nor has a newer build taken its place. */
  mayPass(): boolean {
    return PASSING.includes(this.#failure?.name ?? '')
  }

  /** It is tried again to open it. */
  passes(): void {
    this.#failure = undefined
  }

  /** This repair is begun: if the database does not open then, that is its outcome. */
  tries({ id }: Call): void {
    this.#tried = id
  }

  /** Refuses what the page has asked for, but for what can be done all the same: that is to be asked again. */
  refuseAll(failure: ErrorReport): Call[] {
    this.fails(failure)
    this.#page.post({ type: 'failed', error: failure })
    const isSpared = ({ method, id }: Call) => UNOPENED.includes(method) && id !== this.#tried
    this.#backlog.refuseAll(failure, (call) => failure.name !== 'outdated' && isSpared(call))
    return this.#backlog.takeAll()
  }

  refuse({ id }: Call): void {
    if (this.#failure !== undefined) this.#page.post({ type: 'refused', id, error: this.#failure })
  }

  /** Deletes what is stored, as the call of this id asks; whether it is gone. */
  async destroy(id: number): Promise<boolean> {
    try {
      await destroyUnopened(this.#name, this.#options, this.#wasm)
      this.#page.post({ type: 'result', id, payload: new Uint8Array() })
      return true
    } catch (error) {
      const report = reportOf(error)
      this.#page.post({ type: 'refused', id, error: report })
      this.#backlog.refuseAll(report)
      return false
    }
  }
}
