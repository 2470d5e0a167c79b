// What is timed. The clock runs over the calls of the database and nothing else: documents are made before, answers are
// kept and looked at after.

import { documentOf, documentsOf, idOf } from '../documents.mjs'

/** Documents that one call of `bulk` gets; making them is not timed. */
const bulkDocuments = 10_000

export async function bulk(db, { start, end }) {
  let wall_ms = 0
  for (let from = start; from < end; from += bulkDocuments) {
    const docs = documentsOf(from, Math.min(end, from + bulkDocuments))
    const began = performance.now()
    await db.bulk(docs)
    wall_ms += performance.now() - began
  }
  return { wall_ms, count: end - start }
}

export async function insert(db, { numbers }) {
  const docs = numbers.map(documentOf)
  const began = performance.now()
  for (const doc of docs) await db.insert(doc)
  return { wall_ms: performance.now() - began, count: docs.length }
}

export async function update(db, { edits }) {
  const began = performance.now()
  for (const { number, changes } of edits) await db.update(idOf(number), changes)
  return { wall_ms: performance.now() - began, count: edits.length }
}

export const get = (db, { numbers }) => ask(numbers.map(idOf), async (id) => [await db.get(id)])

export const findEqual = (db, { shelves }) => ask(shelves, (shelf) => db.findEqual(shelf))

export const findRange = (db, { ranges }) => ask(ranges, ({ low, high, limit }) => db.findRange(low, high, limit))

export const findUndeclared = (db, { codes }) => ask(codes, (code) => db.findUndeclared(code))

async function ask(questions, answer) {
  const answers = []
  const began = performance.now()
  for (const question of questions) answers.push(await answer(question))
  return { wall_ms: performance.now() - began, count: questions.length, answers }
}

/** Each edit moves a document to the front of a window; it is done when the window shows that. */
export async function live(db, { limit, edits }) {
  let front
  let shown
  const stop = await db.live(limit, (docs) => {
    shown = docs
    if (docs[0]?._id === front?.id) front?.resolve()
  })
  const began = performance.now()
  for (const { number, changes } of edits) {
    const id = idOf(number)
    const moved = new Promise((resolve) => {
      front = { id, resolve }
    })
    await Promise.all([db.update(id, changes), moved])
  }
  const wall_ms = performance.now() - began
  stop()
  return { wall_ms, count: edits.length, answers: [[...shown]] }
}

/** Until a query is answered, so that an index that is made later is counted. */
export async function pull(db, { url, shelf, count }) {
  const began = performance.now()
  await db.pull(url)
  const found = await db.findEqual(shelf)
  return { wall_ms: performance.now() - began, count, answers: [found] }
}
