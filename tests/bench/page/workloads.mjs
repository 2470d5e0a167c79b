// What is timed. A workload first prepares what it needs and answers a function; that one is what is measured, and calls the
// database and nothing else. Answers are kept, and looked at afterwards.

import { documentOf, documentsOf, idOf } from '../documents.mjs'

/** By name, as `(db, parameters)`, each answering a function that resolves with the answers, if there are any to compare. */
export const workloads = {
  bulk,
  insert,
  update,
  get,
  findEqual,
  findRange,
  findUndeclared,
  live,
  pull,
  pullPlain,
  copy,
}

function bulk(db, { start, end }) {
  const docs = documentsOf(start, end)
  return () => db.bulk(docs).then(() => undefined)
}

function insert(db, { numbers }) {
  const docs = numbers.map(documentOf)
  return async () => {
    for (const doc of docs) await db.insert(doc)
  }
}

function update(db, { edits }) {
  const calls = edits.map(({ number, changes }) => [idOf(number), changes])
  return async () => {
    for (const call of calls) await db.update(...call)
  }
}

function get(db, { numbers }) {
  return each(numbers.map(idOf), async (id) => [await db.get(id)])
}

function findEqual(db, { shelves }) {
  return each(shelves, (shelf) => db.findEqual(shelf))
}

function findRange(db, { ranges }) {
  return each(ranges, ({ low, high, limit }) => db.findRange(low, high, limit))
}

function findUndeclared(db, { codes }) {
  return each(codes, (code) => db.findUndeclared(code))
}

function each(questions, answer) {
  return async () => {
    const answers = []
    for (const question of questions) answers.push(await answer(question))
    return answers
  }
}

/** Each edit moves a document to the front of a window; it is done when the window shows that. */
async function live(db, { limit, edits }) {
  const begun = Promise.withResolvers()
  let front
  let shown
  const stop = await db.live(limit, (docs) => {
    shown = docs
    begun.resolve()
    if (docs[0]?._id === front?.id) front?.resolve()
  })
  await begun.promise
  return async () => {
    for (const { number, changes } of edits) {
      front = { id: idOf(number), ...Promise.withResolvers() }
      await Promise.all([db.update(front.id, changes), front.promise])
    }
    stop()
    return [[...shown]]
  }
}

/** Until a query is answered, so that an index that is made later is counted. */
function pull(db, { url, shelf }) {
  return async () => {
    await db.pull(url)
    return [await db.findEqual(shelf)]
  }
}

function pullPlain(db, { url, shelf }) {
  return async () => {
    await db.pullPlain(url)
    return [await db.findEqual(shelf)]
  }
}

/** What a snapshot costs at least: its bytes are here, and are stored. */
async function copy(db, { url }) {
  const response = await fetch(`${url}/_snapshot`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  return () => db.copy(bytes).then(() => undefined)
}
