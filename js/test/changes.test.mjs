// The changes feed, over the real engine in memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from './open.mjs'

async function withDocuments(t, count) {
  const db = open(t, 'feed')
  await db.bulkDocs(Array.from({ length: count }, (_, n) => ({ _id: `d${String(n).padStart(4, '0')}`, n })))
  return db
}
const idsOf = (changes) => changes.map(({ id }) => id)

test('awaited, a feed gives all changes and where they end', async (t) => {
  const db = await withDocuments(t, 3)
  const { results, last_seq } = await db.changes({ include_docs: true })
  assert.deepEqual(idsOf(results), ['d0000', 'd0001', 'd0002'])
  assert.equal(results[2].doc.n, 2)
  assert.equal(last_seq, (await db.info()).update_seq)
  assert.deepEqual((await db.changes({ since: last_seq })).results, [])
})

test('awaited, iterated and listened to, a feed of several pages gives the same', async (t) => {
  const db = await withDocuments(t, 25)
  const feed = db.changes({ batch_size: 4 })
  const { results } = await feed
  const iterated = []
  for await (const change of feed) iterated.push(change)
  const told = []
  const completed = await new Promise((resolve) => {
    db.changes({ batch_size: 7 })
      .on('change', (change) => told.push(change))
      .on('complete', resolve)
  })
  assert.equal(results.length, 25)
  assert.deepEqual(iterated, results)
  assert.deepEqual(told, results)
  assert.deepEqual(completed.results, results)
})

test('a limit, a direction, ids and a selector hold over all pages', async (t) => {
  const db = await withDocuments(t, 9)
  const ids = async (query) => idsOf((await db.changes({ batch_size: 2, ...query })).results)
  assert.deepEqual(await ids({ limit: 5 }), ['d0000', 'd0001', 'd0002', 'd0003', 'd0004'])
  assert.deepEqual(await ids({ limit: 3, descending: true }), ['d0008', 'd0007', 'd0006'])
  assert.equal((await ids({ descending: true })).length, 9)
  assert.deepEqual(await ids({ doc_ids: ['d0007', 'd0001'] }), ['d0001', 'd0007'])
  assert.deepEqual(await ids({ selector: { n: { $gt: 6 } } }), ['d0007', 'd0008'])
})

test('a live feed goes on with what changes later, and ends when its loop is left', async (t) => {
  const db = await withDocuments(t, 2)
  const seen = []
  for await (const { id } of db.changes({ live: true })) {
    seen.push(id)
    if (seen.length === 2) await db.put({ _id: 'later' })
    if (id === 'later') pause(5).then(() => db.put({ _id: 'latest' }))
    if (id === 'latest') break
  }
  assert.deepEqual(seen, ['d0000', 'd0001', 'later', 'latest'])
})

test('now is when the feed was made, not when somebody begins to read it', async (t) => {
  const db = await withDocuments(t, 3)
  const feed = db.changes({ since: 'now', live: true })
  await db.put({ _id: 'after' })
  for await (const { id } of feed) {
    assert.equal(id, 'after')
    break
  }
})

test('a slow reader of a live feed misses nothing and sees the newest revision of each document once', async (t) => {
  const db = open(t, 'slow')
  const feed = db.changes({ since: 'now', live: true, batch_size: 3, include_docs: true })
  const seen = new Map()
  const reading = (async () => {
    for await (const { id, doc } of feed) {
      await pause(1)
      seen.set(id, doc.n)
      if (id === 'end') return
    }
  })()
  let rev
  for (let n = 0; n < 30; n += 1) {
    const { rev: next } = await db.put({ _id: 'often', ...(rev && { _rev: rev }), n })
    rev = next
    await db.put({ _id: `once${n}`, n })
  }
  await db.put({ _id: 'end', n: 0 })
  await reading
  assert.equal(seen.size, 32)
  assert.equal(seen.get('often'), 29)
})

test('a cancelled feed ends: its loop, its listeners and its promise', { timeout: 5000 }, async (t) => {
  const db = await withDocuments(t, 1)
  const controller = new AbortController()
  const feed = db.changes({ live: true, signal: controller.signal })
  const told = []
  const completed = new Promise((resolve) => {
    feed.on('change', ({ id }) => told.push(id)).on('complete', resolve)
  })
  const iterated = []
  const loop = (async () => {
    for await (const { id } of feed) iterated.push(id)
  })()
  while (told.length + iterated.length < 2) await pause(1)
  controller.abort()
  await loop
  assert.deepEqual([told, iterated, (await completed).results], [['d0000'], ['d0000'], []])
  assert.equal((await completed).last_seq, (await db.info()).update_seq)
})

test('a feed whose signal is aborted already is refused as fetch refuses, awaited and iterated', async (t) => {
  const db = await withDocuments(t, 1)
  const begin = (live) => db.changes({ live, signal: AbortSignal.abort() })
  for (const live of [false, true]) {
    const iterate = async () => {
      for await (const change of begin(live)) assert.fail(change.id)
    }
    await assert.rejects(begin(live), { name: 'AbortError', code: 'aborted' })
    await assert.rejects(iterate, { name: 'AbortError', code: 'aborted' })
    const completed = await new Promise((resolve) => begin(live).on('complete', resolve))
    assert.deepEqual(completed.results, [])
  }
})

test('a feed fails where it is read when the database is closed', { timeout: 5000 }, async (t) => {
  const db = await withDocuments(t, 1)
  const feed = db.changes({ live: true })
  const error = new Promise((resolve) => feed.on('error', resolve))
  const loop = (async () => {
    for await (const _ of feed);
  })()
  loop.catch(() => {})
  await pause(5)
  await db.close()
  await assert.rejects(loop, { status: 503, name: 'closed' })
  assert.equal((await error).status, 503)
})

test('the database tells that documents changed', async (t) => {
  const db = open(t, 'telling')
  const told = new Promise((resolve) => db.on('changed', resolve))
  await db.put({ _id: 'a' })
  assert.equal((await told).last_seq, (await db.info()).update_seq)
})
