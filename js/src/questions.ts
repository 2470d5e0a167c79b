// What a leader asks of the pages that it serves, until they have answered.

import { closed, FirkinError } from './errors.js'
import type { Answer, Question } from './messages.js'

interface Asked {
  client: string
  resolve(answer: string | Uint8Array): void
  reject(error: FirkinError): void
}

export class Questions {
  readonly #send: (client: string, question: Question) => void
  readonly #asked = new Map<number, Asked>()
  // An answer to another leader's question must not be taken for one to ours.
  #latest = Math.floor(Math.random() * 2 ** 48)

  constructor(send: (client: string, question: Question) => void) {
    this.#send = send
  }

  /** Asks a client; it may go away without an answer. */
  ask(client: string, question: Pick<Question, 'name' | 'json' | 'body'>): Promise<string | Uint8Array> {
    this.#latest += 1
    const id = this.#latest
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { client, resolve, reject })
      this.#send(client, { type: 'ask', id, ...question })
    })
  }

  answered(answer: Answer): void {
    const asked = this.#asked.get(answer.id)
    this.#asked.delete(answer.id)
    if ('json' in answer) asked?.resolve(answer.json)
    else if ('bytes' in answer) asked?.resolve(answer.bytes)
    else asked?.reject(new FirkinError(answer.error))
  }

  /** The client is gone. */
  forget(client: string): void {
    for (const [id, asked] of this.#asked) {
      if (asked.client !== client) continue
      this.#asked.delete(id)
      asked.reject(closed('the page that was asked is gone'))
    }
  }
}
