// Watching one document, or the value at a path of it.

import type { Connection } from './connection.js'
import { Followed, follow } from './follow.js'
import type { Abortable } from './types.js'

/** The value, `undefined` where there is none, and every value that it has from then on. */
export class Watched<Value> extends Followed<Value | undefined> {
  readonly #connection: Connection
  readonly #asked: object

  constructor(connection: Connection, document: string, path: string | undefined, { signal }: Abortable) {
    super(signal)
    this.#connection = connection
    this.#asked = { document, path }
  }

  protected async *values(signal: AbortSignal): AsyncGenerator<Value | undefined, void, undefined> {
    let told: { text: string | undefined } | undefined
    for await (const { isFirst, news } of follow(this.#connection, 'watch', this.#asked, signal)) {
      const text = JSON.stringify(news) as string | undefined
      // When it was begun anew it may be the one that was told.
      if (isFirst && told !== undefined && told.text === text) continue
      told = { text }
      yield news as Value | undefined
    }
  }
}
