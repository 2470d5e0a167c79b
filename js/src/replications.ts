// The replications of a leader: who has a part in each (`runs.ts`), how its requests are sent (`feeds.ts`), and what it asks of pages.

import { decode } from './encode.js'
import { closed } from './errors.js'
import { Feeds } from './feeds.js'
import type { Call, Outcome, Response as Reply } from './messages.js'
import { type AskPage, fetchThroughPage } from './page-fetch.js'
import type { Questions } from './questions.js'
import { type Beginning, Runs } from './runs.js'

export class Replications {
  readonly #runs: Runs
  readonly #feeds = new Feeds()
  readonly #questions: Questions
  readonly #callEngine: (method: string, payload: object) => Promise<unknown>

  /** `callEngine` runs a method of the engine. */
  constructor(
    send: (client: string, response: Reply) => void,
    questions: Questions,
    callEngine: (method: string, payload: object) => Promise<unknown>,
  ) {
    this.#runs = new Runs(send)
    this.#questions = questions
    this.#callEngine = callEngine
  }

  /** How a replication ends for the client that asks for it; `start` has the engine run it, if it does not yet. */
  begin(client: string, call: Beginning, start: () => Promise<Outcome>): Promise<Outcome> {
    return this.#runs.begin(client, call, () => start().finally(() => this.#feeds.end(call.replication)))
  }

  /** Serves a call about a replication that the engine knows nothing of; `undefined` of another call. */
  serve(call: Call): Promise<Outcome> | undefined {
    if (call.method === 'cancelReplication') return this.#cancel(call)
    if (call.method === 'looked') return this.#looked(call)
    return undefined
  }

  /** The client is gone. */
  forget(client: string): void {
    for (const id of this.#runs.forget(client)) void this.#callEngine('cancelReplication', { id }).catch(() => {})
  }

  /** The engine tells something of a replication. */
  happened(json: string): void {
    this.#runs.happened(json)
  }

  /** The engine is of no more use. */
  endAll(): void {
    this.#feeds.endAll()
  }

  /** Sends a request of a replication, or has the page send it that asked for that. */
  fetch(replication: number, url: string, init: RequestInit): Promise<Response> {
    const ask: AskPage = (name, detail, body) => this.ask(name, JSON.stringify(detail), body)
    const throughPage = (url: string, init: RequestInit) => fetchThroughPage(ask, replication, url, init)
    const send = this.#runs.fetches(replication) ? throughPage : (url: string, init: RequestInit) => fetch(url, init)
    return this.#feeds.fetch(replication, url, init, send)
  }

  /** Asks the page that began the replication that this is about, unless that has said it all. */
  async ask(name: string, json: string, body?: Blob | Uint8Array): Promise<string | Uint8Array> {
    const { replication } = JSON.parse(json) as { replication: number }
    const headers = name === 'headers' ? this.#runs.headers(replication) : undefined
    if (headers !== undefined) return JSON.stringify(headers)
    const client = this.#runs.owner(replication)
    if (client === undefined) throw closed('the replication has ended')
    return this.#questions.ask(client, { name, json, ...(body === undefined ? {} : { body }) })
  }
  async #cancel({ id, replication = 0 }: Call): Promise<Outcome> {
    const run = this.#runs.leave(replication)
    if (run !== undefined) await this.#callEngine('cancelReplication', { id: run })
    return { type: 'result', id, payload: new Uint8Array() }
  }

  /** Completes once what the peer had when this was asked was looked at. */
  async #looked({ id, replication = 0, payload }: Call): Promise<Outcome> {
    const { at_ms } = decode(payload) as { at_ms: number }
    await this.#feeds.looked(this.#runs.idOf(replication), at_ms)
    return { type: 'result', id, payload: new Uint8Array() }
  }
}
