// Two databases at the ends of a port: one is served, the other is synced with it. Each end may do both.

import type { Connection } from './connection.js'
import { networkFailed } from './errors.js'
import type { Fetch } from './exchanges.js'
import { type FramePort, Frames, open } from './frames.js'
import { type Asked, answer } from './passive.js'

/** What is said of a request besides its body. */
type Head = Pick<Asked, 'method' | 'path' | 'contentType'>

interface AnswerHead {
  status: number
}

/** Answers what the other end of the port asks, until `signal` is aborted. */
export function servePort(connection: Connection, port: FramePort, signal: AbortSignal): void {
  const underWay = new Map<number, AbortController>()
  const stopped = (exchange: number) => underWay.get(exchange)?.abort()
  const frames = new Frames(port, 'down', stopped, (exchange, message) => {
    const abort = new AbortController()
    underWay.set(exchange, abort)
    const serve = async () => {
      const { head, body } = await open(message)
      const sent = await new Response(body).blob()
      const asked = { ...(head as Head), body: sent.size === 0 ? undefined : sent, signal: abort.signal }
      const response = await answer(connection, asked)
      const told: AnswerHead = { status: response.status }
      await frames.send(exchange, told, response.body)
    }
    serve()
      .catch(() => frames.stop(exchange))
      .finally(() => underWay.delete(exchange))
  })
  const end = () => {
    for (const abort of underWay.values()) abort.abort()
    frames.close()
  }
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
}

// Two replications over one port must not take the same number.
let exchanges = 0

/** Sends requests over the port; `base` is what their URLs begin with. */
export function fetchOver(port: FramePort, base: string): Fetch & { close(): void } {
  const waiting = new Map<number, (error: Error) => void>()
  const frames = new Frames(port, 'up', (exchange) => waiting.get(exchange)?.(gone()))
  const fetchIt = async (url: string, { method = 'GET', headers, body, signal }: RequestInit) => {
    exchanges = (exchanges + 1) % 2 ** 32
    const exchange = exchanges
    const head: Head = {
      method,
      path: url.slice(base.length).replace(/^\//, ''),
      contentType: new Headers(headers).get('content-type') ?? undefined,
    }
    const message = frames.receive(exchange)
    const abort = () => frames.stop(exchange)
    signal?.addEventListener('abort', abort, { once: true })
    const stopped = new Promise<never>((_, reject) => waiting.set(exchange, reject))
    try {
      const sent = frames.send(exchange, head, body == null ? null : new Response(body).body)
      const answered = open(message)
      answered.catch(() => {})
      const opened = await Promise.race([stopped, sent.then(() => answered)])
      return new Response(opened.body, { status: (opened.head as AnswerHead).status })
    } catch {
      throw gone()
    } finally {
      waiting.delete(exchange)
    }
  }
  return Object.assign(fetchIt, { close: () => frames.close() })
}

const gone = () => networkFailed('the peer at the other end of the port does not answer')
