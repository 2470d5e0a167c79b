// The package in a browser: the engine in its worker, stored in IndexedDB.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()
let page

before(async () => {
  page = await profile.open()
  await page.evaluate(async () => {
    window.db = new Firkin('documents')
    // What a call rejected with, as it can leave the page.
    window.refusal = (call) =>
      call.then(
        () => 'no error',
        (error) => ({
          status: error.status,
          name: error.name,
          code: error.code,
          reason: error.reason,
          class: error.constructor.name,
        }),
      )
    await db.ready
  })
})

test('documents are written, read, changed and removed', async () => {
  const seen = await page.evaluate(async () => {
    const written = await db.put({ _id: 'a', n: 1, deep: { 'x.y': [null, 'ü'] } }, { author: 'Alice' })
    const { firkin, ...first } = await db.get('a')
    const second = await db.put({ ...first, n: 2 }, { durability: 'strict' })
    const changed = await db.get('a')
    await db.remove(changed)
    const { id } = await db.post({ n: 3 })
    const removed = await refusal(db.get('a'))
    return { written, first, author: firkin.author, second, changed, removed, posted: (await db.get(id)).n }
  })
  const { rev } = seen.written
  assert.deepEqual(seen.first, { _id: 'a', _rev: rev, n: 1, deep: { 'x.y': [null, 'ü'] } })
  assert.deepEqual([seen.author, seen.changed.n, seen.posted], ['Alice', 2, 3])
  assert.match(seen.second.rev, /^2-[0-9a-f]{32}$/)
  assert.deepEqual([seen.removed.status, seen.removed.reason], [404, 'deleted'])
})

test('a bulk of documents is written, listed and found by any path', async () => {
  const seen = await page.evaluate(async () => {
    const docs = Array.from({ length: 1000 }, (_, n) => ({
      _id: `b${n}`,
      bulk: true,
      n,
      tags: [`t${n % 10}`],
      at: { depth: n / 2 },
    }))
    const rows = await db.bulkDocs(docs)
    const again = await db.bulkDocs([{ _id: 'b7', n: -1 }, { _id: 'b new' }])
    const { rows: listed } = await db.allDocs({ startkey: 'b99', endkey: 'b999', include_docs: true })
    const selector = { bulk: true, 'at.depth': { $gte: 300 }, tags: { $elemMatch: { $eq: 't3' } } }
    const found = await db.find({ selector, sort: [{ n: 'desc' }], limit: 3 })
    return {
      all: rows.every(({ ok }) => ok),
      again,
      listed: listed.map(({ doc }) => doc.n),
      found: found.docs.map(({ n }) => n),
    }
  })
  assert.equal(seen.all, true)
  assert.deepEqual([seen.again[0].error, seen.again[0].status, seen.again[1].ok], ['conflict', 409, true])
  assert.deepEqual(seen.listed, [99, 990, 991, 992, 993, 994, 995, 996, 997, 998, 999])
  assert.deepEqual(seen.found, [993, 983, 973])
})

test('a live feed and its events tell of edits as they are made', async () => {
  const seen = await page.evaluate(async () => {
    const told = []
    const feed = db.changes({ since: 'now', live: true, include_docs: true })
    const listening = db.changes({ since: 'now', live: true }).on('change', ({ id }) => told.push(id))
    const iterated = []
    const loop = (async () => {
      for await (const { id, doc } of feed) if (iterated.push([id, doc.n]) === 3) break
    })()
    for (let n = 0; n < 3; n += 1) await db.put({ _id: `live${n}`, n })
    await loop
    while (told.length < 3) await new Promise((resolve) => setTimeout(resolve, 1))
    listening.cancel()
    return { iterated, told }
  })
  assert.deepEqual(seen.iterated, [
    ['live0', 0],
    ['live1', 1],
    ['live2', 2],
  ])
  assert.deepEqual(seen.told, ['live0', 'live1', 'live2'])
})

// Each refusal is checked whole in the package's own tests; these show that errors keep their shape across the worker.
const refusals = [
  ['400 bad_request', () => db.put({ _id: 'bad', n: 1n })],
  ['400 illegal_docid', () => db.put({ _id: '_bad' })],
  ['400 doc_validation', () => db.put({ _id: 'bad', _special: 1 })],
  ['400 invalid_operator', () => db.find({ selector: { n: { $like: 1 } } })],
  ['404 not_found', () => db.get('bad')],
  ['409 conflict', () => db.put({ _id: 'b1', _rev: '1-abc' })],
  ['412 missing_id', () => db.put({})],
  ['413 too_large', () => db.put({ _id: 'bad', s: 'x'.repeat(8 << 20) })],
  ['0 network_failed', () => db.replicate.to('http://127.0.0.1:9/nobody')],
  ['400 bad_request', () => db.replicate.from('not a url')],
]
for (const [expected, call] of refusals) {
  test(`${call.toString().slice(6)} is refused with ${expected}, and nothing changes`, async () => {
    const { error, before, after } = await page.evaluate(`(async () => {
      const before = (await db.info()).update_seq
      const error = await refusal((${call})())
      return { error, before, after: (await db.info()).update_seq }
    })()`)
    assert.deepEqual([error.class, `${error.status} ${error.name}`, error.code], ['FirkinError', expected, error.name])
    assert.equal(typeof error.reason, 'string')
    assert.equal(after, before)
  })
}

test('a URL at which something answers that is no server is a typed error', async () => {
  const error = await page.evaluate((url) => refusal(db.replicate.from(url)), `${profile.origin}/nothing`)
  assert.equal(error.class, 'FirkinError')
  assert.ok([404, 502].includes(error.status), JSON.stringify(error))
})

test('an aborted call rejects with an AbortError', async () => {
  const error = await page.evaluate(() => {
    const controller = new AbortController()
    const waiting = refusal(db.find({ selector: { bulk: true }, signal: controller.signal }))
    controller.abort()
    return waiting
  })
  assert.deepEqual([error.class, error.name, error.code], ['DOMException', 'AbortError', 'aborted'])
})

test('a closed database refuses calls with 503, and opens again with what it held', async () => {
  const seen = await page.evaluate(async () => {
    const first = new Firkin('closing')
    const writing = first.put({ _id: 'kept', n: 1 })
    await first.close()
    const refused = await refusal(first.get('kept'))
    const second = new Firkin('closing')
    const { n } = await second.get('kept')
    await second.close()
    return { refused, n, ok: (await writing).ok }
  })
  assert.deepEqual([seen.refused.status, seen.refused.name, seen.n, seen.ok], [503, 'closed', 1, true])
})

test('databases are listed, and one that is destroyed is gone', async () => {
  const seen = await page.evaluate(async () => {
    const doomed = new Firkin('doomed')
    await doomed.put({ _id: 'a' })
    const before = await Firkin.list()
    const closed = new Promise((resolve) => doomed.on('closed', ({ reason }) => resolve(reason)))
    const answer = await doomed.destroy()
    const after = await Firkin.list()
    const anew = new Firkin('doomed')
    const { doc_count } = await anew.info()
    await anew.destroy()
    return { before, answer, after, doc_count, reason: await closed, refused: await refusal(doomed.info()) }
  })
  assert.ok(seen.before.includes('doomed') && seen.before.includes('documents'))
  assert.deepEqual(seen.answer, { ok: true })
  assert.equal(seen.after.includes('doomed'), false)
  assert.deepEqual([seen.doc_count, seen.reason, seen.refused.status], [0, 'the database was destroyed', 503])
})

test('databases in OPFS are listed beside what other code has put into their folder', async () => {
  const names = await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('firkin', { create: true })
    for (const name of ['Foreign', '%', 'zz%']) await folder.getDirectoryHandle(name, { create: true })
    const databases = ['first', 'second', 'die dritte: ä'].map((name) => new Firkin(name, { storage: 'opfs' }))
    await Promise.all(databases.map((db) => db.ready))
    const names = await Firkin.list()
    await Promise.all(databases.map((db) => db.destroy()))
    return names
  })
  for (const name of ['first', 'second', 'die dritte: ä']) assert.ok(names.includes(name), `${name} in ${names}`)
  assert.equal(names.includes('Foreign'), false)
})

test('a worker that cannot find the engine fails with a typed error', async () => {
  const other = await profile.open()
  const error = await other.evaluate(async () => {
    Firkin.init({ wasm: '/nowhere/firkin.wasm' })
    const lost = new Firkin('lost')
    const error = await lost.ready.catch(({ status, name, reason }) => ({ status, name, reason }))
    await lost.close()
    return error
  })
  assert.deepEqual([error.status, error.name], [0, 'network_failed'])
  assert.match(error.reason, /\/nowhere\/firkin\.wasm/)
  await other.close()
})
