// Following something in the engine, one piece of news after the other: what live queries, watches and reviews share.
//
// The next news are asked for when the last have been taken. So a slow reader is sent nothing that it is not ready for:
// what changes meanwhile is folded where the engine is. When another tab comes to lead, its engine knows nothing of what
// was followed: then it is begun anew, and whoever reads compares.

import type { Connection } from './connection.js'
import { badRequest, FirkinError } from './errors.js'
import { uniqueNumber } from './number.js'

/** What the engine tells; `isFirst` if it tells all there is, and not what is new. */
export interface News {
  isFirst: boolean
  news: unknown
}

/**
 * News of the engine until `signal` aborts or the app closes the database. A 503 `closed` where it was closed before, and
 * where it is destroyed or lost meanwhile.
 */
export async function* follow(
  connection: Connection,
  method: 'live' | 'watch' | 'reviews',
  asked: object,
  signal: AbortSignal,
): AsyncGenerator<News, void, undefined> {
  const id = uniqueNumber()
  const beganClosed = connection.isClosed
  let isFirst = true
  try {
    for (;;) {
      const news = await ask(connection, isFirst ? method : 'followNext', { ...(isFirst && asked), id }, signal)
      if (news !== UNKNOWN) yield { isFirst, news }
      isFirst = news === UNKNOWN
    }
  } catch (error) {
    const isClosedMeanwhile = connection.wasLeft && !beganClosed
    if (!signal.aborted && !isClosedMeanwhile) throw error
  } finally {
    connection.call('followEnd', { id }, { feed: id }).catch(() => {})
  }
}

/** Nothing is followed under this number where the engine is now. */
const UNKNOWN = Symbol('unknown feed')

async function ask(
  connection: Connection,
  method: string,
  payload: { id: number },
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await connection.call(method, payload, { signal, feed: payload.id })
  } catch (error) {
    if (error instanceof FirkinError && error.code === 'unknown_feed') return UNKNOWN
    throw error
  }
}

/**
 * Values that come for as long as somebody reads. Every loop and every subscriber reads for itself, at its own pace, from
 * the first value on; one that is slow gets the newest, and not each on the way.
 */
export abstract class Followed<Value> implements AsyncIterable<Value> {
  readonly #ended = new AbortController()

  constructor(signal: AbortSignal | undefined) {
    if (signal?.aborted) this.cancel()
    else signal?.addEventListener('abort', () => this.cancel(), { once: true })
  }

  /** The values, for one reader. */
  protected abstract values(signal: AbortSignal): AsyncGenerator<Value, void, undefined>

  /** Ends all loops and subscriptions. */
  cancel(): void {
    this.#ended.abort()
  }

  /**
   * Calls `callback` with every value; if it returns a promise, the next value waits for that. The function returned ends
   * it. A failure, such as that of a malformed query, goes to `failed`; without it, to the page's uncaught errors.
   */
  subscribe(callback: (value: Value) => unknown, failed: (error: FirkinError) => void = throwLater): () => void {
    if (typeof callback !== 'function') throw badRequest('subscribe takes a function')
    const values = this[Symbol.asyncIterator]()
    let ended = false
    const read = async () => {
      for await (const value of values) {
        // What is on its way when it ends is not told.
        if (ended) return
        try {
          await callback(value)
        } catch (error) {
          throwLater(error)
        }
      }
    }
    read().catch(failed)
    return () => {
      ended = true
      void values.return?.()
    }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Value> {
    const reading = new AbortController()
    const end = () => reading.abort()
    const { signal } = this.#ended
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    const values = this.values(reading.signal)
    const iterator: AsyncIterableIterator<Value> = {
      next: () => values.next(),
      // A generator ends only once what it waits for has come, which may be never.
      return: async () => {
        end()
        signal.removeEventListener('abort', end)
        return values.return()
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  [Symbol.dispose](): void {
    this.cancel()
  }
}

/** An error that nobody here takes is an uncaught one. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
