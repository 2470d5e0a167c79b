// `fetch`, as the engine's side has it where the page sends the requests of a replication: what the page brings is a response
// like any other, whose body is asked for piece by piece.

import { uniqueNumber } from './number.js'

/** Asks the page something; the answer is JSON, or bytes. */
export type AskPage = (name: string, detail: object, body?: Blob | Uint8Array) => Promise<string | Uint8Array>

/** What is said of a request besides its body. */
export interface RequestHead {
  url: string
  method: string
  headers: [string, string][]
  credentials: RequestCredentials
  redirect: RequestRedirect
}

export interface ResponseHead {
  status: number
  headers: [string, string][]
}

/** Statuses of which a response may have no body. */
const BODILESS = new Set([204, 205, 304])

export async function fetchThroughPage(
  ask: AskPage,
  replication: number,
  url: string,
  init: RequestInit,
): Promise<Response> {
  const about = { replication, exchange: uniqueNumber() }
  const { method = 'GET', headers, body, credentials = 'same-origin', redirect = 'follow', signal } = init
  const head: RequestHead = { url, method, headers: [...new Headers(headers)], credentials, redirect }
  let over = false
  const abort = () => {
    if (!over) ask('abort', about).catch(() => {})
    over = true
  }
  signal?.addEventListener('abort', abort, { once: true })
  const answer = await ask('fetch', { ...about, ...head }, (body as Blob | Uint8Array | null) ?? undefined)
  const { status, headers: told } = JSON.parse(answer as string) as ResponseHead
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const piece = await ask('read', about)
      if (typeof piece !== 'string') return controller.enqueue(piece as Uint8Array<ArrayBuffer>)
      over = true
      controller.close()
    },
    cancel: abort,
  })
  return new Response(BODILESS.has(status) ? null : stream, { status, headers: told })
}
