// The package with the real engine, in memory and in this process.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Firkin, FirkinError } from '../dist/index.js'
import { open } from './open.mjs'

let db

before(() => {
  db = new Firkin('units')
})
after(() => db.close())

const hash = /^1-[0-9a-f]{32}$/

test('a document comes back as it was written, with its id and revision', async () => {
  const body = { n: -0.5, deep: { 'a.b': [1, null, { x: 'ü' }] }, empty: {} }
  const { ok, id, rev } = await db.put({ _id: 'whole', ...body })
  assert.deepEqual([ok, id], [true, 'whole'])
  assert.match(rev, hash)
  assert.deepEqual(await db.get('whole'), { _id: 'whole', _rev: rev, ...body })
})

test('an edit names the revision that it replaces, and the old one can still be read', async () => {
  const first = await db.put({ _id: 'edited', n: 1 })
  const second = await db.put({ _id: 'edited', _rev: first.rev, n: 2 })
  assert.equal((await db.get('edited')).n, 2)
  assert.equal((await db.get('edited', { rev: first.rev })).n, 1)
  const { _revisions } = await db.get('edited', { revs: true })
  assert.deepEqual(_revisions, { start: 2, ids: [second.rev.slice(2), first.rev.slice(2)] })
})

test('info tells what is there, where it is stored and what this replica is called', async (t) => {
  const info = await open(t, 'told').info()
  const { update_seq, identity, ...rest } = info
  assert.deepEqual(rest, { db_name: 'told', doc_count: 0, doc_del_count: 0, storage: 'memory' })
  assert.deepEqual([typeof update_seq, /^[0-9a-f]{32}$/.test(identity)], ['string', true])
})

test('post gives a random id to a document without one', async () => {
  const [one, other] = [await db.post({ n: 1 }), await db.post({ n: 1 })]
  assert.notEqual(one.id, other.id)
  assert.equal((await db.post({ _id: 'posted', n: 1 })).id, 'posted')
})

test('author and message are kept in the document with the time, one without them stays as it is', async () => {
  const start = new Date().toISOString()
  await db.put({ _id: 'told', n: 1 }, { author: 'Alice', message: 'why' })
  const { firkin } = await db.get('told')
  assert.deepEqual([firkin.author, firkin.message], ['Alice', 'why'])
  assert.ok(firkin.time >= start && firkin.time <= new Date().toISOString())
  await db.put({ _id: 'untold', n: 1 })
  assert.equal('firkin' in (await db.get('untold')), false)
})

test('a removed document is gone, whichever way it was named', async () => {
  const { rev } = await db.put({ _id: 'gone', n: 1 })
  await db.remove('gone', rev)
  await assert.rejects(db.get('gone'), { status: 404, reason: 'deleted' })
  await db.put({ _id: 'gone too' })
  await db.remove(await db.get('gone too'))
  await assert.rejects(db.get('gone too'), { status: 404, reason: 'deleted' })
})

test('a bulk write answers row by row, a conflict among them, and gives ids to those that lack one', async () => {
  await db.put({ _id: 'taken' })
  const rows = await db.bulkDocs([{ _id: 'bulk', n: 1 }, { _id: 'taken', n: 2 }, { n: 3 }])
  assert.deepEqual([rows[0].ok, rows[0].id], [true, 'bulk'])
  const { id, error, status, reason } = rows[1]
  assert.deepEqual([id, error, status, typeof reason], ['taken', 'conflict', 409, 'string'])
  assert.equal((await db.get(rows[2].id)).n, 3)
})

const malformed = {
  'no object': [7, 'bad_request'],
  'an _id that is no string': [{ _id: 3 }, 'illegal_docid'],
  'an _id that is reserved': [{ _id: '_x' }, 'illegal_docid'],
  'an _id of a local document': [{ _id: '_local/x' }, 'illegal_docid'],
  'an unknown member with an underscore': [{ _id: 'b', _special: 1 }, 'doc_validation'],
  'a _rev that is none': [{ _id: 'b', _rev: 'x' }, 'bad_request'],
  'an attachment that is no base64': [{ _id: 'b', _attachments: { x: { data: '!' } } }, 'bad_request'],
}
for (const [what, [doc, name]] of Object.entries(malformed)) {
  test(`a bulk with ${what} is refused with ${name}, and nothing is written`, async (t) => {
    const db = open(t, 'malformed')
    await assert.rejects(db.bulkDocs([{ _id: 'a' }, doc]), { status: 400, name })
    assert.equal((await db.info()).doc_count, 0)
  })
}

test('an atomic bulk write that is refused in one document writes none', async () => {
  await db.put({ _id: 'held' })
  const rows = await db.bulkDocs([{ _id: 'unheld' }, { _id: 'held' }], { atomic: true })
  assert.equal(rows[1].error, 'conflict')
  await assert.rejects(db.get('unheld'), { status: 404 })
})

test('revisions of others are stored as they are, branches and all', async () => {
  const branch = (rev, n) => ({ _id: 'forked', _rev: `2-${rev}`, _revisions: { start: 2, ids: [rev, 'r'] }, n })
  assert.deepEqual(await db.put(branch('x', 1), { new_edits: false }), { ok: true, id: 'forked', rev: '2-x' })
  await db.bulkDocs([branch('y', 2)], { new_edits: false })
  const { _rev, _conflicts } = await db.get('forked', { conflicts: true })
  assert.deepEqual([_rev, _conflicts], ['2-y', ['2-x']])
  const leaves = await db.get('forked', { open_revs: 'all' })
  assert.deepEqual(leaves.map(({ ok }) => ok.n).sort(), [1, 2])
  assert.deepEqual(await db.get('forked', { open_revs: ['2-zz'] }), [{ missing: '2-zz' }])
  assert.deepEqual(await db.revsDiff({ forked: ['2-x', '3-z'] }), {
    forked: {
      missing: ['3-z'],
      possible_ancestors: (await db.revsDiff({ forked: ['3-z'] })).forked.possible_ancestors,
    },
  })
})

test('documents are listed by id, in ranges, by keys and in pages', async (t) => {
  const listed = open(t, 'listed')
  await listed.bulkDocs(['a', 'b', 'c', 'd'].map((_id) => ({ _id, n: _id })))
  const ids = async (query) => (await listed.allDocs(query)).rows.map((row) => row.id ?? row.error)
  assert.deepEqual(await ids(), ['a', 'b', 'c', 'd'])
  assert.deepEqual(await ids({ startkey: 'b', endkey: 'c' }), ['b', 'c'])
  assert.deepEqual(await ids({ key: 'b' }), ['b'])
  assert.deepEqual(await ids({ key: 'bb' }), [])
  assert.deepEqual(await ids({ keys: ['d', 'x', 'a'] }), ['d', 'not_found', 'a'])
  assert.deepEqual(await ids({ descending: true, limit: 2, skip: 1 }), ['c', 'b'])
  const { total_rows, rows } = await listed.allDocs({ include_docs: true, limit: 1 })
  assert.deepEqual([total_rows, rows[0].doc.n], [4, 'a'])
})

test('many documents are read at once, what is missing among them', async () => {
  await db.put({ _id: 'read', n: 1 })
  const { results } = await db.bulkGet({ docs: [{ id: 'read' }, { id: 'never' }] })
  assert.equal(results[0].docs[0].ok.n, 1)
  assert.equal(results[1].docs[0].error.error, 'not_found')
})

test('a query is answered, sorted and paged from what is there, with nothing declared', async (t) => {
  const stock = open(t, 'stock')
  await stock.bulkDocs([3, 1, 2, 5, 4].map((n) => ({ _id: `i${n}`, n, tags: n > 2 ? ['big'] : [] })))
  const query = { selector: { tags: { $elemMatch: { $eq: 'big' } } }, sort: [{ n: 'desc' }], fields: ['n'], limit: 2 }
  const first = await stock.find(query)
  assert.deepEqual(first.docs, [{ n: 5 }, { n: 4 }])
  const second = await stock.find({ ...query, bookmark: first.bookmark })
  assert.deepEqual(second.docs, [{ n: 3 }])
  assert.equal(typeof (await stock.explain(query)), 'object')
  assert.equal((await stock.createIndex({ index: { fields: ['n'] } })).result, 'exists')
  assert.deepEqual((await stock.getIndexes()).indexes[0].def, { fields: [{ _id: 'asc' }] })
  assert.deepEqual(await stock.deleteIndex({}), { ok: true })
})

const cycle = {}
cycle.cycle = cycle
const refusals = {
  'a document that is none': [() => db.put('text'), 400, 'bad_request'],
  'a list as a document': [() => db.post([]), 400, 'bad_request'],
  'a list that is none': [() => db.bulkDocs({}), 400, 'bad_request'],
  'a document that refers to itself': [() => db.put({ _id: 'bad', cycle }), 400, 'bad_request'],
  'a BigInt': [() => db.put({ _id: 'bad', n: 1n }), 400, 'bad_request'],
  'a function': [() => db.bulkDocs([{ _id: 'bad', f() {} }]), 400, 'bad_request'],
  'a lone surrogate': [() => db.put({ _id: 'bad', s: '\ud800' }), 400, 'bad_request'],
  'no id': [() => db.put({ n: 1 }), 412, 'missing_id'],
  'an empty id': [() => db.put({ _id: '' }), 400, 'illegal_docid'],
  'an id that is a number': [() => db.put({ _id: 1 }), 400, 'illegal_docid'],
  'a reserved id': [() => db.put({ _id: '_bad' }), 400, 'illegal_docid'],
  'an unknown special member': [() => db.put({ _id: 'bad', _special: 1 }), 400, 'doc_validation'],
  'a document over the limit': [() => db.put({ _id: 'bad', s: 'x'.repeat(8 << 20) }), 413, 'too_large'],
  'a revision that is none': [() => db.put({ _id: 'bad', _rev: 'first' }), 400, 'bad_request'],
  'a revision that is not current': [() => db.put({ _id: 'known', _rev: '1-abc' }), 409, 'conflict'],
  'a known document without its revision': [() => db.put({ _id: 'known' }), 409, 'conflict'],
  'removing a revision that is not current': [() => db.remove('known', '1-abc'), 409, 'conflict'],
  'a document that never was': [() => db.get('bad'), 404, 'not_found'],
  'an id to get that is none': [() => db.get(undefined), 400, 'bad_request'],
  'an unknown operator': [() => db.find({ selector: { n: { $like: 1 } } }), 400, 'invalid_operator'],
  'a limit that is none': [() => db.find({ selector: {}, limit: -1 }), 400, 'query_parse_error'],
  'a query that is not there': [() => db.find(), 400, 'missing_required_key'],
  'a query to explain that is not there': [() => db.explain(), 400, 'missing_required_key'],
  'a list of documents to get that is not there': [() => db.bulkGet(), 400, 'bad_request'],
  'reading changes none at a time': [() => db.changes({ batch_size: 0 }), 400, 'bad_request'],
  'a sequence of another database': [() => db.changes({ since: '7-other' }), 400, 'bad_request'],
  'a live feed backwards': [() => db.changes({ live: true, descending: true }), 400, 'bad_request'],
  'a peer that is no URL': [() => db.sync({}), 400, 'bad_request'],
  'a URL that is none': [() => db.replicate.to('nowhere'), 400, 'bad_request'],
}
for (const [what, [call, status, name]] of Object.entries(refusals)) {
  test(`${what} is refused with ${status} ${name}, and nothing changes`, async () => {
    if (name === 'conflict') await db.put({ _id: 'known' }).catch(() => {})
    const { update_seq: before } = await db.info()
    const error = await call().then(assert.fail, (error) => error)
    assert.ok(error instanceof FirkinError)
    assert.deepEqual([error.status, error.name, error.code], [status, name, name])
    assert.equal(typeof error.reason, 'string')
    assert.equal((await db.info()).update_seq, before)
  })
}

test('a size limit can be set', async (t) => {
  const small = open(t, 'small', { documentBytesMax: 40 })
  await small.put({ _id: 'a' })
  await assert.rejects(small.put({ _id: 'b', s: 'x'.repeat(40) }), { status: 413, name: 'too_large' })
})

test('what JSON cannot hold is neither stored nor asked for, whichever call it is given to', async (t) => {
  const db = open(t, 'strangers')
  const refused = { status: 400, name: 'bad_request' }
  await assert.rejects(db.put({ _id: 'x', v: db.info() }), { ...refused, reason: /await was forgotten.* at doc\.v$/ })
  await assert.rejects(db.bulkDocs([{ _id: 'x', v: new Error('x') }]), refused)
  await assert.rejects(db.post(db.info()), { ...refused, reason: /not a promise/ })
  await assert.rejects(db.bulkDocs([new Map()]), { ...refused, reason: /not a Map/ })
  await assert.rejects(db.count({ v: /never/ }), { ...refused, reason: /RegExp.* at selector\.v$/ })
  assert.equal((await db.allDocs()).total_rows, 0)
})

test('documents are as deep as the engine takes them, by themselves and in a batch', async (t) => {
  const db = open(t, 'deep')
  const doc = (levels) => JSON.parse(`${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`)
  await db.put({ _id: 'put', ...doc(127) })
  assert.deepEqual((await db.bulkDocs([{ _id: 'bulk', ...doc(127) }]))[0].ok, true)
  const refused = { status: 400, reason: /^nested too deep \(more than 127 levels\)/ }
  await assert.rejects(db.put({ _id: 'x', ...doc(128) }), refused)
  await assert.rejects(db.bulkDocs([{ _id: 'x', ...doc(128) }]), refused)
})

test('an aborted call rejects with a real AbortError, before it is sent and after', async () => {
  await assert.rejects(db.get('x', { signal: AbortSignal.abort() }), { name: 'AbortError', code: 'aborted' })
  const controller = new AbortController()
  const waiting = db.info().then(() => db.find({ selector: {}, signal: controller.signal }))
  await db.info()
  controller.abort()
  await assert.rejects(waiting, (error) => error instanceof DOMException && error.name === 'AbortError')
})

test('what was begun completes when the database is closed, and what comes later is refused with 503', async () => {
  const closing = new Firkin('closing')
  const told = []
  closing.on('closed', ({ reason }) => told.push(reason))
  const writing = closing.put({ _id: 'a' })
  const closed = closing.close()
  assert.equal(closing.close(), closed)
  await assert.rejects(closing.get('a'), { status: 503, name: 'closed' })
  assert.equal((await writing).ok, true)
  await closed
  assert.equal(told.length, 1)
})

test('after the database was destroyed, calls say so', async () => {
  const doomed = new Firkin('doomed')
  await doomed.put({ _id: 'a' })
  await doomed.destroy()
  await assert.rejects(doomed.get('a'), { status: 503, name: 'closed', reason: 'the database was destroyed' })
})

test('destroying is done once, whoever asks for it again, before or after', async () => {
  const db = new Firkin('doomed')
  await db.put({ _id: 'a' })
  const both = await Promise.all([db.destroy(), db.destroy()])
  assert.deepEqual([...both, await db.destroy()], [{ ok: true }, { ok: true }, { ok: true }])
  await db.close()
  assert.deepEqual(await db.destroy(), { ok: true })
  const closed = new Firkin('closed')
  await closed.close()
  await assert.rejects(closed.destroy(), { status: 503, name: 'closed' })
})

test('a database with hardly a cache answers as any other', async (t) => {
  const db = open(t, 'cached', { cacheBytes: 0 })
  await db.bulkDocs(Array.from({ length: 500 }, (_, n) => ({ _id: `d${n}`, n, text: 'words '.repeat(100) })))
  assert.equal((await db.find({ selector: { n: { $lt: 400 } } })).docs.length, 400)
})

test('a signal closes the database', async () => {
  const controller = new AbortController()
  const closing = new Firkin('signalled', { signal: controller.signal })
  await closing.ready
  const closed = new Promise((resolve) => closing.on('closed', resolve))
  controller.abort()
  await closed
  await assert.rejects(closing.info(), { status: 503 })
})

test('two databases in memory share nothing, whatever their names', async (t) => {
  const one = open(t, 'same')
  const other = open(t, 'same')
  await one.put({ _id: 'a' })
  await assert.rejects(other.get('a'), { status: 404 })
})

test('an option that is not known is refused by its name', async (t) => {
  const refused = (reason) => ({ status: 400, name: 'bad_request', reason })
  assert.throws(() => new Firkin('x', { adapter: 'idb' }), refused('there is no option adapter'))
  assert.throws(() => new Firkin('x', { storage: 'memory', revs_limit: 5 }), refused('there is no option revs_limit'))
  assert.throws(
    () => new Firkin('x', { storage: 'disk' }),
    refused('storage is "indexeddb", "opfs" or "memory", and not "disk"'),
  )
  for (const options of ['memory', 7, [], null]) {
    assert.throws(() => new Firkin('x', options), refused('the options of a database are an object'))
  }
  await open(t, 'x', { merge: undefined, logic: undefined, worker: false }).ready
})

test('an option of another type is refused before anything is opened', async () => {
  const wrong = {
    durability: ['hard', 5, null],
    revsLimit: [0, -1, 1.5, '5', Number.NaN, Number.POSITIVE_INFINITY, null],
    documentBytesMax: [-1, {}, 2 ** 32],
    cacheBytes: ['x', 1n],
    worker: ['no', 1, null],
    signal: [5, {}, new AbortController()],
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const isTold = { status: 400, name: 'bad_request', reason: new RegExp(`^${name} is `) }
      assert.throws(() => new Firkin('x', { [name]: value }), isTold, `${name}: ${String(value)}`)
    }
  }
})

test('an excluded path through an array is refused when the database is opened, one through objects is not', async (t) => {
  for (const path of ['[]', 'c.[]', 'c.[].x', 'd.0', '31.x', 'a\\.b.7']) {
    const refused = { status: 400, name: 'bad_request', reason: /^index\.exclude: .* goes through an array/ }
    assert.throws(() => new Firkin('x', { index: { exclude: ['seen', path] } }), refused, path)
  }
  for (const index of [{ exclude: 'seen' }, { exclude: [7] }, [], 'seen', { only: ['seen'] }]) {
    assert.throws(() => new Firkin('x', { index }), { status: 400, name: 'bad_request', reason: /^index/ })
  }
  const db = open(t, 'objects', { index: { exclude: ['c', 'd.\\0', 'd.\\[]', 'year.2026', 'e.x'] } })
  await db.put({ _id: 'a', c: [1], d: { 0: 1, '[]': 2, b: 3 }, year: { 2026: 1 }, e: [{ x: 1 }] })
  const paths = (await db.paths()).map(({ path }) => path)
  assert.deepEqual(
    paths.filter((path) => !path.startsWith('_')),
    ['d', 'd.b', 'e', 'e.[]', 'e.[].x', 'year'],
  )
})

test('a name is a string that is not empty', () => {
  assert.throws(() => new Firkin(''), { status: 400 })
  assert.throws(() => new Firkin(7), { status: 400 })
})
