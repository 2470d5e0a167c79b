// What is timed. The clock runs over the calls of the database and nothing else: documents are made before, answers are
// kept and looked at after.

import { documentOf, documentsOf, idOf } from '../documents.mjs'

/** By name, as `(db, parameters)`, each answering `{ wall_ms, count, answers }`. */
export const workloads = { bulk, insert, update, get, findEqual, findRange, findUndeclared, live, pull }

/** Documents that one call of `bulk` gets; making them is not timed. */
const bulkDocuments = 10_000

async function bulk(db, { start, end }) {
  let wall_ms = 0
  for (let from = start; from < end; from += bulkDocuments) {
    const docs = documentsOf(from, Math.min(end, from + bulkDocuments))
    const began = performance.now()
    await db.bulk(docs)
    wall_ms += performance.now() - began
  }
  return { wall_ms, count: end - start }
}

async function insert(db, { numbers }) {
  const docs = numbers.map(documentOf)
  const began = performance.now()
  for (const doc of docs) await db.insert(doc)
  return { wall_ms: performance.now() - began, count: docs.length }
}

async function update(db, { edits }) {
  const began = performance.now()
  for (const { number, changes } of edits) await db.update(idOf(number), changes)
  return { wall_ms: performance.now() - began, count: edits.length }
}

function get(db, { numbers }) {
  return ask(numbers.map(idOf), async (id) => [await db.get(id)])
}

function findEqual(db, { shelves }) {
  return ask(shelves, (shelf) => db.findEqual(shelf))
}

function findRange(db, { ranges }) {
  return ask(ranges, ({ low, high, limit }) => db.findRange(low, high, limit))
}

function findUndeclared(db, { codes }) {
  return ask(codes, (code) => db.findUndeclared(code))
}

async function ask(questions, answer) {
  const answers = []
  const began = performance.now()
  for (const question of questions) answers.push(await answer(question))
  return { wall_ms: performance.now() - began, count: questions.length, answers }
}

/** Each edit moves a document to the front of a window; it is done when the window shows that. */
async function live(db, { limit, edits }) {
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
async function pull(db, { url, shelf, count }) {
  const began = performance.now()
  await db.pull(url)
  const found = await db.findEqual(shelf)
  return { wall_ms: performance.now() - began, count, answers: [found] }
}
