// The real PouchDB 9 with its `http` adapter against the server: all that the adapter does.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import httpAdapter from 'pouchdb-adapter-http'
import memoryAdapter from 'pouchdb-adapter-memory'
import PouchDB from 'pouchdb-core'
import find from 'pouchdb-find'
import replication from 'pouchdb-replication'
import { startFirkinServer } from '../support/firkin-server.mjs'

PouchDB.plugin(memoryAdapter).plugin(httpAdapter).plugin(find).plugin(replication)

let folder
let server
let databases = 0

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-pouchdb-http-'))
  server = await startFirkinServer({ data: folder, origin: 'http://localhost', admin: 'iko:secret' })
})
after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

const auth = { username: 'iko', password: 'secret' }
/** A database of its own on the server; PouchDB makes it when it is first used. */
function remote() {
  databases += 1
  return new PouchDB(`${server.url}/pouch-${databases}`, { auth })
}
const ids = (rows) => rows.map(({ id }) => id)

async function filled(count) {
  const db = remote()
  const docs = Array.from({ length: count }, (_, n) => ({
    _id: `d${String(n).padStart(3, '0')}`,
    n,
    even: n % 2 === 0,
  }))
  const rows = await db.bulkDocs(docs)
  assert.ok(rows.every(({ ok }) => ok))
  return db
}

test('documents are written, read, changed and removed, and errors are those of CouchDB', async () => {
  const db = remote()
  const { rev } = await db.put({ _id: 'a/ä', n: 1 })
  assert.deepEqual(await db.get('a/ä'), { _id: 'a/ä', _rev: rev, n: 1 })
  const second = await db.put({ _id: 'a/ä', _rev: rev, n: 2 })
  await assert.rejects(db.put({ _id: 'a/ä', _rev: rev, n: 3 }), { status: 409, name: 'conflict' })
  assert.equal((await db.get('a/ä', { rev })).n, 1)
  const whole = await db.get('a/ä', { revs: true, revs_info: true })
  assert.deepEqual(
    [whole._revisions.start, whole._revs_info.map(({ status }) => status)],
    [2, ['available', 'available']],
  )
  const { id } = await db.post({ n: 4 })
  assert.equal((await db.get(id)).n, 4)
  await db.remove('a/ä', second.rev)
  await assert.rejects(db.get('a/ä'), { status: 404, reason: 'deleted' })
  await assert.rejects(db.get('none'), { status: 404, reason: 'missing' })
  await assert.rejects(db.put({ _id: '_x' }), { status: 400 })
  await assert.rejects(db.put({ _id: 'x', _nope: 1 }), { status: 400, name: 'doc_validation' })
  await db.put({ _id: '_local/state', seq: 1 })
  assert.equal((await db.get('_local/state')).seq, 1)
  assert.equal((await db.info()).doc_count, 1)
})

test('branches are stored, seen and closed', async () => {
  const db = remote()
  const revision = (hash, n) => ({ _id: 'a', _rev: `2-${hash}`, _revisions: { start: 2, ids: [hash, 'aa'] }, n })
  await db.bulkDocs([revision('bb', 1), revision('cc', 2)], { new_edits: false })
  const doc = await db.get('a', { conflicts: true })
  assert.deepEqual([doc._rev, doc._conflicts], ['2-cc', ['2-bb']])
  const leaves = await db.get('a', { open_revs: 'all' })
  assert.deepEqual(leaves.map(({ ok }) => ok._rev).sort(), ['2-bb', '2-cc'])
  const missing = await db.revsDiff({ a: ['2-bb', '3-dd'], b: ['1-x'] })
  assert.deepEqual([missing.a.missing, missing.b.missing], [['3-dd'], ['1-x']])
  const { results } = await db.bulkGet({ docs: [{ id: 'a', rev: '2-bb' }, { id: 'none' }], revs: true })
  assert.deepEqual([results[0].docs[0].ok.n, results[1].docs[0].error.error], [1, 'not_found'])
  await db.remove('a', '2-bb')
  assert.equal((await db.get('a', { conflicts: true }))._conflicts, undefined)
})

test('all documents are listed by ranges, keys and pages', async () => {
  const db = await filled(30)
  const list = async (options) => ids((await db.allDocs(options)).rows)
  assert.deepEqual(await list({ startkey: 'd003', endkey: 'd005' }), ['d003', 'd004', 'd005'])
  assert.deepEqual(await list({ startkey: 'd003', endkey: 'd005', inclusive_end: false }), ['d003', 'd004'])
  assert.deepEqual(await list({ descending: true, limit: 2, skip: 1 }), ['d028', 'd027'])
  assert.deepEqual(await list({ key: 'd007' }), ['d007'])
  const { rows, total_rows } = await db.allDocs({ keys: ['d001', 'none', 'd000'], include_docs: true })
  assert.deepEqual([total_rows, rows[0].doc.n, rows[1].error, rows[2].doc.n], [30, 1, 'not_found', 0])
})

test('changes are paged, filtered and followed', async () => {
  const db = await filled(30)
  const page = await db.changes({ limit: 10, include_docs: true })
  assert.deepEqual([page.results.length, typeof page.results[0].doc.n], [10, 'number'])
  const rest = await db.changes({ since: page.last_seq })
  assert.equal(new Set([...ids(page.results), ...ids(rest.results)]).size, 30)
  const selected = await db.changes({ selector: { even: true } })
  assert.equal(selected.results.length, 15)
  const named = await db.changes({ doc_ids: ['d001', 'd002'] })
  assert.deepEqual(ids(named.results).sort(), ['d001', 'd002'])
  const feed = db.changes({ live: true, since: 'now', include_docs: true })
  const heard = new Promise((resolve) => feed.on('change', resolve))
  // The feed has to be there first: whatever it hears of first is what it is asked for.
  const again = setInterval(() => db.post({ written: true }).catch(() => {}), 100)
  const change = await heard
  clearInterval(again)
  feed.cancel()
  assert.equal(change.doc.written, true)
})

test('queries are answered with no index declared, and declaring one does no harm', async () => {
  const db = await filled(30)
  const query = { selector: { even: true, n: { $gte: 10 } }, fields: ['_id', 'n'], sort: [{ n: 'desc' }], limit: 3 }
  const found = await db.find(query)
  assert.deepEqual(found.docs, [
    { _id: 'd028', n: 28 },
    { _id: 'd026', n: 26 },
    { _id: 'd024', n: 24 },
  ])
  const next = await db.find({ ...query, bookmark: found.bookmark })
  assert.deepEqual(
    next.docs.map(({ n }) => n),
    [22, 20, 18],
  )
  assert.equal((await db.createIndex({ index: { fields: ['n'] } })).result, 'exists')
  assert.equal((await db.getIndexes()).indexes[0].name, '_all_docs')
  const { index, limit, fields } = await db.explain(query)
  assert.deepEqual([index.name, limit, fields], ['_all_docs', 3, ['_id', 'n']])
  await assert.rejects(db.find({ selector: { n: { $nope: 1 } } }), { status: 400 })
})

test('attachments are put, read and removed', async () => {
  const db = remote()
  const long = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, place) => place ^ (place >> 8)))
  const first = await db.putAttachment('a', 'long.bin', long, 'application/x-long')
  const second = await db.putAttachment('a', 'short', first.rev, Buffer.from('hi'), 'text/plain')
  assert.ok(long.equals(await db.getAttachment('a', 'long.bin')))
  assert.equal(String(await db.getAttachment('a', 'short', { rev: second.rev })), 'hi')
  await assert.rejects(db.getAttachment('a', 'short', { rev: first.rev }), { status: 404 })
  const doc = await db.get('a', { attachments: true })
  assert.equal(doc._attachments.short.data, 'aGk=')
  const { rev } = await db.removeAttachment('a', 'short', second.rev)
  assert.deepEqual(Object.keys((await db.get('a'))._attachments), ['long.bin'])
  assert.equal((await db.get('a'))._rev, rev)
})

test('a database in memory is kept the same, both ways and live', async () => {
  const far = await filled(20)
  const near = new PouchDB('near', { adapter: 'memory' })
  try {
    const sync = near.sync(far, { live: true, retry: true })
    const until = async (what, holds) => {
      const end = Date.now() + 30_000
      while (!(await holds())) {
        assert.ok(Date.now() < end, `not ${what} in time`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    await until('pulled', async () => (await near.info()).doc_count === 20)
    await near.put({ _id: 'near', _attachments: { f: { content_type: 'text/plain', data: 'aGk=' } } })
    await until('pushed', async () => (await far.info()).doc_count === 21)
    assert.equal(String(await far.getAttachment('near', 'f')), 'hi')
    await far.remove(await far.get('d000'))
    await until('deleted', async () => (await near.info()).doc_count === 20)
    sync.cancel()
    const byIds = new PouchDB('by-ids', { adapter: 'memory' })
    await byIds.replicate.from(far, { doc_ids: ['d001'] })
    await byIds.replicate.from(far, { selector: { n: 2 } })
    assert.deepEqual(ids((await byIds.allDocs()).rows), ['d001', 'd002'])
    await byIds.destroy()
  } finally {
    await near.destroy()
  }
})

test('who is not let in is told, and a database is destroyed and compacted by who is', async () => {
  const stranger = new PouchDB(`${server.url}/pouch-1`, { skip_setup: true })
  await assert.rejects(stranger.get('a'), { status: 401 })
  const db = await filled(3)
  await db.compact()
  await db.destroy()
  const gone = new PouchDB(db.name, { auth, skip_setup: true })
  await assert.rejects(gone.get('d000'), { status: 404 })
})
