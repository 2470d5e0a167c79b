// What a database must answer, worked out from the documents as plainly as possible: filters and sorts over arrays.
//
// Only what the queries look at is kept of each document; the rest is made again from its number where it is needed.

import { digest, documentOf } from './documents.mjs'

export class Expected {
  /** `{ number, shelf, score, code }` of each document, in the order of the ids. */
  #rows = []
  #changes = new Map()

  /** The documents of these numbers, which follow on those that are there, are stored. */
  add(numbers) {
    for (const number of numbers) {
      if (number !== this.#rows.length) throw new Error(`the document ${number} is out of its order`)
      const { shelf, score, supplier } = documentOf(number)
      this.#rows.push({ number, shelf, score, code: supplier.code })
    }
  }

  change(edits) {
    for (const { number, changes } of edits) {
      this.#changes.set(number, { ...this.#changes.get(number), ...changes })
      const { shelf, score } = changes
      Object.assign(this.#rows[number], shelf === undefined ? {} : { shelf }, score === undefined ? {} : { score })
    }
  }

  document(number) {
    return { ...documentOf(number), ...this.#changes.get(number) }
  }

  get = (number) => this.#answer([this.#rows[number]])
  findEqual = (shelf) => this.#answer(this.#rows.filter((row) => row.shelf === shelf))
  findUndeclared = (code) => this.#answer(this.#rows.filter((row) => row.code === code))
  findRange = ({ low, high, limit }) =>
    this.#answer(byScore(this.#rows.filter(({ score }) => score >= low && score < high)).slice(0, limit))
  first = (limit) => this.#answer(byScore([...this.#rows]).slice(0, limit))

  #answer(rows) {
    return digest(rows.map(({ number }) => this.document(number)))
  }
}

// The sort keeps the order of the ids among equal scores.
const byScore = (rows) => rows.sort((left, right) => left.score - right.score)

/** Fails unless each answer is the one expected; those without an order may come in any. */
export function compare(what, answers, expected, { ordered = false } = {}) {
  if (answers.length !== expected.length) throw new Error(`${what}: ${answers.length} answers, not ${expected.length}`)
  for (const [index, answer] of answers.entries()) {
    const [found, wanted] = ordered ? [answer, expected[index]] : [[...answer].sort(), [...expected[index]].sort()]
    const place = found.findIndex((text, at) => text !== wanted[at])
    if (place < 0 && found.length === wanted.length) continue
    throw new Error(
      `${what}: answer ${index + 1} has ${found.length} documents where ${wanted.length} are right` +
        (place < 0 ? '' : `; at ${place} it has ${found[place]}, not ${wanted[place]}`),
    )
  }
}
