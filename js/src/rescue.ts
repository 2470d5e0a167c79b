// What is done to a database that no engine has open: a repair, or taking in a backup of its blocks.
//
// The leader leaves its engine for it and opens another one afterwards. While a backup comes in, what is asked of the database
// waits. **A page that goes away, or sends nothing for a minute, ends that**: the database is as empty as it was.

import { decode, encode } from './encode.js'
import { loadRescue } from './engine.js'
import { FirkinError, reportOf } from './errors.js'
import type { Call, Outcome } from './messages.js'
import type { DatabaseFiles } from './opfs.js'
import type { Host } from './wasm-glue/engine.js'
import type { Restore } from './wasm-glue/rescue.js'

/** How long a page may leave a backup unfinished. */
const IDLE_MS_MAX = 60_000

/** What a database is opened with. */
export interface Opening {
  name: string
  options: string
  wasm: string | undefined
  host: Host
  /** Opens its files, if that is where it is. */
  openFiles(): Promise<DatabaseFiles | undefined>
}

/** The call that asks for it. */
export interface Asked {
  client: string
  call: Call
}

/** Whether the calls of this name are about what is done here. */
export function isRescue(method: string): boolean {
  return method === 'repair' || method.startsWith('restore')
}

export class Rescue {
  readonly #asked: Asked
  /** What the call is answered with. */
  #outcome: Outcome | undefined
  /** Why the repair was not done. */
  #failure: unknown
  #restore: Restore | undefined
  #files: DatabaseFiles | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #ended: () => void = () => {}

  constructor(asked: Asked) {
    this.#asked = asked
  }

  /** Whether it was asked for by this call. */
  isFor(client: string, call: Call): boolean {
    return this.#asked.client === client && this.#asked.call.id === call.id
  }

  /** Whether a backup is coming in. */
  get isUnderWay(): boolean {
    return this.#restore !== undefined
  }

  /** Why the database is not open if, after this, `error` keeps it from that: a repair that was not done comes first. */
  cause(error: unknown): unknown {
    return this.#failure ?? error
  }

  /**
   * Does it, or begins it; `ended` is called when that comes to its end otherwise than by `finish`. Where it cannot be done the
   * call is refused, and the database is opened as it is.
   */
  async begin({ name, options, wasm, host, openFiles }: Opening, ended: () => void): Promise<void> {
    const { id, method, payload } = this.#asked.call
    const rescue = await loadRescue(wasm)
    this.#files = await openFiles()
    const handles = this.#files?.handles
    try {
      if (method === 'repair') {
        const repaired = await rescue.repair(name, options, host, handles)
        this.#closeFiles()
        this.#outcome = { type: 'result', id, payload: new TextEncoder().encode(repaired) }
        return
      }
      const { format } = decode(payload.slice()) as { format: number }
      this.#restore = await rescue.Restore.begin(name, options, format, handles)
      this.#outcome = { type: 'result', id, payload: encode({ ok: true }) }
      this.#ended = ended
      this.#wait()
    } catch (error) {
      this.#closeFiles()
      const report = reportOf(error)
      // Another has taken the database over.
      if (report.name === 'fenced') throw error
      if (method === 'repair') this.#failure = error
      this.#outcome = { type: 'refused', id, error: report }
    }
  }

  /** What a call about it is answered with; none if the call asks for another one. */
  async answer(client: string, call: Call): Promise<Outcome | undefined> {
    const { id, method, payload } = call
    if (method === 'repair' || method === 'restore') return this.isFor(client, call) ? this.#outcome : undefined
    try {
      if (this.#restore === undefined || client !== this.#asked.client) throw gone()
      clearTimeout(this.#timer)
      if (method === 'restoreNext') await this.#restore.add(payload)
      else if (method === 'restoreEnd') await this.#restore.finish()
      if (method === 'restoreNext') this.#wait()
      else this.end()
      return { type: 'result', id, payload: encode({ ok: true }) }
    } catch (error) {
      this.end()
      return { type: 'refused', id, error: reportOf(error) }
    }
  }

  /** The client is gone. */
  forget(client: string): void {
    if (client === this.#asked.client) this.end()
  }

  /** Ends what is under way; what came in until then is given up, unless it was finished. */
  end(): void {
    clearTimeout(this.#timer)
    const restore = this.#restore
    if (restore === undefined) return
    this.#restore = undefined
    restore.free()
    this.#closeFiles()
    this.#ended()
  }

  #closeFiles(): void {
    this.#files?.close()
    this.#files = undefined
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.end(), IDLE_MS_MAX)
  }
}

/** What a call about a backup is answered with that does not come in here. */
export function gone(): FirkinError {
  const reason = 'No backup comes in here: it was not sent on for a minute, or another tab leads.'
  return new FirkinError({ status: 404, name: 'backup_gone', reason })
}
