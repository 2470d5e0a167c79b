// The browser's process is killed at random moments of a write load, again and again, over one profile.
//
// After each kill every write that was acknowledged is there, whole, and the index answers what the documents say. Some sessions
// write little: what a kill has done to the browser's own log is found one session later, unless much was written meanwhile (see
// torn-log.test.mjs).
// FIRKIN_KILLS sets the number of kills; the moments and the writes are drawn from FIRKIN_SEED, which a failure prints.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { naiveFind } from '../support/naive.mjs'
import { seededRandom } from '../support/random.mjs'
import { useProfile } from './profile.mjs'

const killsOf = { indexeddb: Number(process.env.FIRKIN_KILLS ?? 50), opfs: Number(process.env.FIRKIN_KILLS ?? 15) }
const seed = Number(process.env.FIRKIN_SEED ?? Date.now() % 1_000_000)
/** How long a load goes on at most before the kill, in milliseconds. */
const LOAD_MS_MAX = 400
/** How many of the sessions write little. */
const LITTLE = 0.3

const profile = useProfile()

for (const [storage, kills] of Object.entries(killsOf)) {
  test(`in ${storage} no acknowledged write is lost by ${kills} kills, and the index equals the documents (seed ${seed})`, (t) =>
    killAgainAndAgain(t, storage, kills))
}

async function killAgainAndAgain(t, storage, kills) {
  const random = seededRandom(seed)
  /** By id: the latest write that was acknowledged, as `[n, deleted]`. */
  const acknowledged = new Map()
  let writes = 0
  for (let kill = 1; kill <= kills; kill += 1) {
    const page = await profile.open()
    let heard
    const first = new Promise((resolve) => {
      heard = resolve
    })
    await page.exposeFunction('acknowledge', (rows) => {
      for (const [id, n, deleted] of rows) acknowledged.set(id, [n, deleted])
      writes += rows.length
      heard()
    })
    const durability = kill % 2 === 0 ? 'strict' : 'relaxed'
    const rounds = random() < LITTLE ? 3 : Number.MAX_SAFE_INTEGER
    page.evaluate(write, { storage, durability, rounds, seed: Math.floor(random() * 2 ** 31) }).catch(() => {})
    await first
    await pause(random() * LOAD_MS_MAX)
    await profile.killAndStart()
    const verifying = await profile.open()
    await verify(verifying, storage, acknowledged, `kill ${kill} of seed ${seed}, ${durability}`)
    await verifying.close()
  }
  t.diagnostic(`${writes} acknowledged writes to ${acknowledged.size} documents, ${kills} kills`)
  assert.ok(writes > kills, 'there was a load to speak of')
}

/** Runs in the page: four writers, each with documents of its own, one write after the other, `rounds` times. */
async function write({ storage, durability, rounds, seed }) {
  const db = new Firkin('killed', { storage, durability })
  // The next number of each document must be greater than any before, also those whose acknowledgement was lost.
  const { results } = await db.changes({ include_docs: true })
  const known = new Map(results.map(({ id, doc }) => [id, doc]))
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const next = (id, deleted) => {
    const before = known.get(id)
    const n = (before?.n ?? 0) + 1
    const doc = {
      _id: id,
      n,
      writer: id.slice(0, 2),
      kind: `kind ${n % 7}`,
      text: `${id} ${n} `.repeat(40),
      tags: [n % 3, 'all'],
    }
    if (before?._rev !== undefined) doc._rev = before._rev
    if (deleted) doc._deleted = true
    return doc
  }
  const note = (doc, rev) => known.set(doc._id, { ...doc, _rev: rev })
  const writer = async (name) => {
    for (let round = 0; round < rounds; round += 1) {
      const chance = random()
      const docs =
        chance < 0.1
          ? Array.from({ length: 150 }, (_, place) => next(`${name}-bulk-${place}`, false))
          : [next(`${name}-${Math.floor(random() * 40)}`, chance > 0.85)]
      const rows = docs.length === 1 ? [await db.put(docs[0])] : await db.bulkDocs(docs)
      for (const [place, row] of rows.entries()) {
        if (row.ok !== true) throw new Error(`refused: ${JSON.stringify(row)}`)
        note(docs[place], row.rev)
      }
      acknowledge(docs.map(({ _id, n, _deleted }) => [_id, n, _deleted === true]))
    }
  }
  await Promise.all(['w0', 'w1', 'w2', 'w3'].map(writer))
}

async function verify(page, storage, acknowledged, when) {
  const { results, docs, found } = await page.evaluate(async (storage) => {
    const db = new Firkin('killed', { storage })
    const { results } = await db.changes({ include_docs: true })
    const { rows } = await db.allDocs({ include_docs: true })
    const queries = [
      { selector: { writer: 'w1' } },
      { selector: { kind: 'kind 3', tags: { $all: [1] } } },
      { selector: { n: { $gt: 2 } }, sort: [{ n: 'desc' }], limit: 50 },
      { selector: { text: { $beginsWith: 'w2-bulk' }, n: { $lte: 3 } } },
    ]
    const found = []
    for (const query of queries) found.push([query, (await db.find(query)).docs, await db.count(query.selector)])
    await db.close()
    return { results, docs: rows.map(({ doc }) => doc), found }
  }, storage)
  const stored = new Map(results.map(({ id, deleted, doc }) => [id, { ...doc, deleted: deleted === true }]))
  for (const [id, [n, deleted]] of acknowledged) {
    const doc = stored.get(id)
    assert.ok(doc !== undefined && doc.n >= n, `${when}: ${id} is ${JSON.stringify(doc)}, acknowledged was ${n}`)
    if (doc.n === n) assert.equal(doc.deleted, deleted, `${when}: ${id}`)
    assert.equal(doc.text, `${id} ${doc.n} `.repeat(40), `${when}: ${id} is whole`)
  }
  assert.deepEqual(
    docs.map(({ _id }) => _id),
    results
      .filter(({ deleted }) => deleted !== true)
      .map(({ id }) => id)
      .sort(),
    `${when}: the feed and the list of documents agree`,
  )
  for (const [query, answer, count] of found) {
    assert.deepEqual(answer, naiveFind(docs, query), `${when}: ${JSON.stringify(query)}`)
    assert.equal(
      count,
      naiveFind(docs, { selector: query.selector }).length,
      `${when}: count of ${JSON.stringify(query)}`,
    )
  }
}
