// The page's side of requests that it sends for a replication: with the app's `fetch`, or to a peer that is no server.

import { badRequest, FirkinError, networkFailed } from './errors.js'
import type { RequestHead, ResponseHead } from './page-fetch.js'

/** Sends a request, as the platform's `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

interface Exchange {
  abort: AbortController
  reader?: ReadableStreamDefaultReader<Uint8Array>
}

/** The requests under way of one replication. */
export class Exchanges {
  readonly #fetch: Fetch
  readonly #underWay = new Map<number, Exchange>()

  constructor(fetch: Fetch) {
    this.#fetch = fetch
  }

  /** Does what the engine asks for. */
  async answer(name: string, detail: object, body?: Blob | Uint8Array): Promise<object | Uint8Array> {
    const { exchange } = detail as { exchange: number }
    try {
      if (name === 'fetch') return await this.#begin(exchange, detail as RequestHead, body)
      if (name === 'read') return await this.#read(exchange)
    } catch (error) {
      this.#end(exchange)
      throw error instanceof FirkinError ? error : networkFailed((error as Error)?.message ?? String(error))
    }
    if (name !== 'abort') throw badRequest(`there is no answer to the question ${name}`)
    this.#end(exchange)
    return {}
  }

  /** Ends all: nobody waits for them any more. */
  endAll(): void {
    for (const exchange of [...this.#underWay.keys()]) this.#end(exchange)
  }

  async #begin(exchange: number, head: RequestHead, body?: Blob | Uint8Array): Promise<ResponseHead> {
    const abort = new AbortController()
    this.#underWay.set(exchange, { abort })
    const { url, method, headers, credentials, redirect } = head
    const init: RequestInit = { method, headers, credentials, redirect, cache: 'no-store', signal: abort.signal }
    if (body !== undefined) init.body = body as BodyInit
    const fetch = this.#fetch
    const response = await fetch(url, init)
    const reader = response.body?.getReader()
    if (this.#underWay.has(exchange) && reader !== undefined) this.#underWay.set(exchange, { abort, reader })
    return { status: response.status, headers: [...response.headers] }
  }

  async #read(exchange: number): Promise<object | Uint8Array> {
    const piece = await this.#underWay.get(exchange)?.reader?.read()
    if (piece?.value !== undefined) return piece.value
    this.#underWay.delete(exchange)
    return {}
  }

  #end(exchange: number): void {
    const ended = this.#underWay.get(exchange)
    this.#underWay.delete(exchange)
    ended?.abort.abort()
    ended?.reader?.cancel().catch(() => {})
  }
}
