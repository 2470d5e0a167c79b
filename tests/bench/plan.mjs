// What is asked of a database, the same for all: drawn from a seed, so that every round and every database gets it alike.

import { numbersFrom, scoreBound, scoreFloor, shelfOf, shelves, supplierOf, suppliers } from './documents.mjs'

/** How often each thing is done: as the tables say, and, for a test of the bench itself, a little of everything. */
export const amounts = {
  full: { inserts: 500, updates: 500, gets: 2000, finds: 200, ranges: 200, undeclared: 5, lives: 50, catchUp: 100 },
  small: { inserts: 20, updates: 20, gets: 30, finds: 10, ranges: 10, undeclared: 2, lives: 5, catchUp: 10 },
}

/** How many documents all equality queries together may answer, since the page holds the answers: fewer queries beyond that. */
const hitsMax = 40_000

/** How many documents the window of the live query and the sorted answers have. */
export const windowLimit = 20

/** The plan for a database of `docs` documents. */
export function planOf(docs, amount = amounts.full) {
  const next = numbersFrom(2017)
  const many = (count, make) => Array.from({ length: count }, make)
  const numbers = (count) => many(count, () => next(docs))
  const edits = (count) =>
    many(count, () => ({
      number: next(docs),
      changes: { stock: 500 + next(500), score: scoreFloor + next(scoreBound - scoreFloor) },
    }))
  const inserts = (start) => many(amount.inserts, (_, index) => start + index)
  const finds = Math.min(amount.finds, Math.max(4, Math.floor(hitsMax / (docs / shelves))))
  const half = Math.ceil(finds / 2)
  const asked = shuffled(
    many(shelves, (_, index) => shelfOf(index)),
    next,
  )
  const part = (count) => asked.slice(0, count)
  return {
    bulk: { start: 0, end: docs },
    insert: { numbers: inserts(docs) },
    cold: { number: next(docs), shelf: shelfOf(next(shelves)) },
    get: { numbers: numbers(amount.gets) },
    // In two halves with the updates between them: a library that remembers answers must look again.
    findEqual: [{ shelves: part(half) }, { shelves: part(finds - half) }],
    update: { edits: edits(amount.updates) },
    updateAgain: { edits: edits(amount.updates) },
    findRange: {
      ranges: many(amount.ranges, () => {
        const low = next(scoreBound * 0.8)
        return { low, high: low + scoreBound / 10, limit: windowLimit }
      }),
    },
    findUndeclared: { codes: many(amount.undeclared, () => supplierOf(next(suppliers))) },
    // Each score is smaller than all before it, so that each edit comes to the front.
    live: {
      limit: windowLimit,
      edits: many(amount.lives, (_, index) => ({ number: next(docs), changes: { score: scoreFloor - 1 - index } })),
    },
    strictInsert: { numbers: inserts(docs + amount.inserts) },
    strictUpdate: { edits: edits(amount.updates) },
    pull: { docs: Math.min(docs, 10_000), shelf: shelfOf(next(shelves)) },
    catchUp: { edits: catchUp(amount.catchUp, Math.min(docs, 10_000), next) },
  }
}

/** Different documents, since each is one change in the server's feed. */
function catchUp(count, docs, next) {
  const chosen = new Set()
  while (chosen.size < Math.min(count, docs)) chosen.add(next(docs))
  return [...chosen].map((number) => ({ number, changes: { stock: 1000 + number, shelf: shelfOf(number % shelves) } }))
}

function shuffled(list, next) {
  for (let index = list.length - 1; index > 0; index -= 1) {
    const other = next(index + 1)
    ;[list[index], list[other]] = [list[other], list[index]]
  }
  return list
}
