// Backups, with the real engine, in memory and in this process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from './open.mjs'

const failsWith = (status, name, reason) => (error) => {
  assert.deepEqual([error.status, error.name], [status, name])
  assert.match(error.reason, reason)
  return true
}
const textOf = (stream) => new Response(stream).text()

/** A database with an edited document, a conflict, a tombstone and attachments, one of them long. */
async function filled(t, name) {
  const db = open(t, name)
  const { rev } = await db.put({ _id: 'edited', n: 1 })
  await db.put({ _id: 'edited', _rev: rev, n: 2, text: 'línea\n\u2028 "q" 😀' })
  const branch = (hash) => ({ _id: 'conflict', _rev: `2-${hash}`, _revisions: { start: 2, ids: [hash, 'r'] }, hash })
  await db.bulkDocs([branch('b'), branch('a')], { new_edits: false })
  await db.put({ _id: 'gone' }).then(({ rev }) => db.put({ _id: 'gone', _rev: rev, _deleted: true, why: 'old' }))
  await db.putAttachment('with', 'short', undefined, new Blob(['hello']), 'text/plain')
  await db.putAttachment(
    'long',
    'l',
    undefined,
    new Uint8Array(3_000_000).map((_, n) => n * 31),
    'x/y',
  )
  await db.bulkDocs(Array.from({ length: 250 }, (_, n) => ({ _id: `many${n}`, n, nested: { list: [n, `t${n}`] } })))
  return db
}

/** All that a reader can tell of a database, but for sequences. */
async function contentOf(db) {
  const { results } = await db.changes({ style: 'all_docs' })
  const docs = []
  for (const { id } of results) docs.push(await db.get(id, { open_revs: 'all', revs: true, attachments: true }))
  return docs.map((rows) => rows.map(({ ok }) => ok)).sort((a, b) => (a[0]._id < b[0]._id ? -1 : 1))
}

test('a backup holds every leaf with its history and attachments, and gives the same database', async (t) => {
  const db = await filled(t, 'original')
  const text = await textOf(db.export())
  const restored = open(t, 'restored')
  const imported = await restored.import(new Blob([text]))
  assert.deepEqual(imported, { ok: true, documents: 255, revisions: 256, refused: [] })
  assert.deepEqual(await contentOf(restored), await contentOf(db))
  const { doc_count, doc_del_count } = await db.info()
  assert.deepEqual(await restored.info(), { ...(await restored.info()), doc_count, doc_del_count })
  assert.deepEqual((await restored.find({ selector: { 'nested.list': { $all: ['t77'] } } })).docs.length, 1)
  assert.deepEqual((await restored.review('conflict')).branches.length, 2)
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([lines[0].firkin_backup, lines[0].db_name], [1, 'original'])
  assert.deepEqual(lines.at(-1), { end: true, documents: 255, revisions: 256 })
})

test('an import can be repeated, and joins what is there as a replication does', async (t) => {
  const db = await filled(t, 'twice')
  const text = await textOf(db.export())
  const other = open(t, 'other')
  await other.put({ _id: 'edited', mine: true })
  for (const source of [
    new Blob([text]).stream(),
    (async function* () {
      for (let at = 0; at < text.length; at += 999) yield text.slice(at, at + 999)
    })(),
  ]) {
    await other.import(source)
  }
  assert.deepEqual((await other.get('edited', { open_revs: 'all' })).length, 2)
  assert.equal((await other.info()).doc_count, (await db.info()).doc_count)
})

test('bytes that split characters and lines anywhere are read', async (t) => {
  const db = await filled(t, 'split')
  const bytes = new Uint8Array(await new Response(db.export()).arrayBuffer())
  const other = open(t, 'split-other')
  const pieces = async function* () {
    for (let at = 0; at < bytes.length; at += 4093) yield bytes.slice(at, at + 4093)
  }
  await other.import(pieces())
  assert.deepEqual(await other.get('edited'), await db.get('edited'))
})

test('what is no backup, is newer, malformed or cut off is refused with where it is', async (t) => {
  const db = open(t, 'refusing')
  const head = '{"firkin_backup":1}\n'
  const doc = '{"_id":"a","_rev":"1-a","_revisions":{"start":1,"ids":["a"]}}\n'
  const cases = [
    ['', 400, 'bad_request', /empty/],
    ['{"a":1}\n', 400, 'bad_request', /no backup/],
    ['{"firkin_backup":2}\n', 500, 'format_too_new', /format 2/],
    [`${head}[1]\n`, 400, 'bad_request', /line 2 of the backup is no object/],
    [`${head}${doc}{"_id":\n`, 400, 'bad_request', /line 3 of the backup is no JSON/],
    [`${head}${doc}`, 400, 'bad_request', /cut off after line 2/],
    [`${head}{"end":true}\n${doc}`, 400, 'bad_request', /line 3 of the backup stands behind its end/],
  ]
  for (const [text, status, name, reason] of cases) {
    await assert.rejects(db.import(new Blob([text])), failsWith(status, name, reason), text)
  }
  await assert.rejects(db.import(42), failsWith(400, 'bad_request', /takes a ReadableStream/))
  await assert.rejects(db.import(null), failsWith(400, 'bad_request', /takes a ReadableStream/))
  assert.equal((await db.info()).doc_count, 1, 'what stood before the end was imported')
})

test('a document whose own members are those of the first or the last line is in a backup like any other', async (t) => {
  const db = open(t, 'lookalikes')
  await db.bulkDocs([
    { _id: 'a', end: true },
    { _id: 'b', firkin_backup: 1, end: true, documents: 0, revisions: 0 },
    { _id: 'c', n: 1 },
  ])
  const other = open(t, 'lookalikes-copy')
  const imported = await other.import(db.export())
  assert.deepEqual(imported, { ok: true, documents: 3, revisions: 3, refused: [] })
  assert.deepEqual(await contentOf(other), await contentOf(db))
})

test('what stands before a damaged line is taken, and the error says where the damage is', async (t) => {
  const line = (id, more = '') => `{"_id":"${id}","_rev":"1-a","_revisions":{"start":1,"ids":["a"]}${more}}\n`
  const before = `{"firkin_backup":1}\n${line('a')}${line('é')}`
  const end = '{"end":true,"documents":3,"revisions":3}\n'
  const cases = [
    ['no JSON', '{"_id":\n', /^line 4 of the backup is no JSON/],
    ['no object', '[1]\n', /^line 4 of the backup is no object/],
    ['no id', line('x').replace('"_id":"x",', ''), /^line 4 of the backup is no document/],
    [
      'contents in no base64',
      line('x', ',"_attachments":{"f":{"content_type":"a/b","data":"*"}}'),
      /^line 4 .* base64/,
    ],
    ['attachments that are null', line('x', ',"_attachments":null'), /_attachments/],
    ['an attachment that is null', line('x', ',"_attachments":{"f":null}'), /attachment/],
    ['bytes that are no UTF-8', new Uint8Array([0x22, 0xff, 0x22, 10]), /^line 4 of the backup is no UTF-8/],
  ]
  for (const [what, damaged, reason] of cases) {
    const db = open(t, what)
    const backup = new Blob([before, damaged, line('later'), end])
    await assert.rejects(db.import(backup), (error) => {
      assert.deepEqual([error.status, error.constructor.name], [400, 'FirkinError'], `${what}: ${error.stack}`)
      assert.match(error.reason, reason)
      return true
    })
    const kept = (await db.allDocs()).rows.map(({ id }) => id)
    if (reason.source.startsWith('^line 4')) assert.deepEqual(kept, ['a', 'é'], what)
    assert.equal((await db.import(new Blob([before, line('later'), end]))).documents, 3, what)
  }
  const db = open(t, 'others')
  await assert.rejects(db.import(new Blob(['\n', line('a'), end])), failsWith(400, 'bad_request', /no backup/))
  const numbers = async function* () {
    yield 5
  }
  await assert.rejects(db.import(numbers()), failsWith(400, 'bad_request', /bytes or text/))
})

test('revisions that the logic of the app refuses are told, and the rest is imported', async (t) => {
  const db = await filled(t, 'source')
  const text = await textOf(db.export())
  const logic = {
    validate: ({ _id }) => {
      if (_id === 'many7') throw { forbidden: 'no seven' }
    },
  }
  const other = open(t, 'strict', { logic, worker: false })
  const { refused, revisions } = await other.import(new Blob([text]))
  assert.deepEqual([revisions, refused.length, refused[0].id, refused[0].status], [256, 1, 'many7', 403])
  await assert.rejects(other.get('many7'), failsWith(404, 'not_found', /missing/))
  assert.ok((await other.get('many8')).n === 8)
})

test('progress is told, a reader that stops ends the export, and a signal ends both', async (t) => {
  const db = await filled(t, 'progress')
  const told = []
  db.on('progress', (progress) => told.push(progress))
  const text = await textOf(db.export())
  assert.deepEqual(told.at(-1), { task: 'export', done: 255, total: 255, documents: 255, revisions: 256 })
  const reader = db.export().getReader()
  assert.equal((await reader.read()).done, false)
  await reader.cancel()
  const aborted = AbortSignal.abort()
  await assert.rejects(textOf(db.export({ signal: aborted })), { name: 'AbortError' })
  const other = open(t, 'aborted')
  await assert.rejects(other.import(new Blob([text]), { signal: aborted }), { name: 'AbortError' })
})

test('a document that changes while the export runs is in it as it is at the end', async (t) => {
  const db = await filled(t, 'changing')
  const reader = db.export().getReader()
  const pieces = [(await reader.read()).value, (await reader.read()).value]
  const doc = await db.get('edited')
  await db.put({ ...doc, n: 99 })
  await db.put({ _id: 'late' })
  for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value)
  const other = open(t, 'changed')
  await other.import(new Blob(pieces))
  assert.deepEqual([(await other.get('edited')).n, (await other.get('late'))._id], [99, 'late'])
  assert.deepEqual(await contentOf(other), await contentOf(db))
})

test('a revision with attachments that is purged while the export reads is not in it, and the rest is', async (t) => {
  const db = await filled(t, 'purging')
  const { _attachments, ...held } = await db.get('edited')
  const contents = { note: { content_type: 'text/plain', data: btoa('a note') } }
  const { rev } = await db.put({ ...held, _attachments: contents })
  // Purges it once the page that holds it was read, before its contents are.
  const get = db.get.bind(db)
  let isPurged = false
  db.get = async (id, options) => {
    if (id === 'edited' && !isPurged) {
      isPurged = true
      await db.purge('edited', rev)
    }
    return get(id, options)
  }
  const text = await textOf(db.export())
  assert.ok(isPurged)
  assert.equal(text.includes(rev), false)
  const other = open(t, 'purged')
  await other.import(new Blob([text]))
  assert.deepEqual(await contentOf(other), await contentOf(db))
})

test('a database in memory writes out its blocks, and takes none in', async (t) => {
  const db = await filled(t, 'blocks')
  const bytes = new Uint8Array(await new Response(db.export({ format: 'blocks' })).arrayBuffer())
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(10))))
  assert.deepEqual([head.firkin_blocks, head.db_name], [1, 'blocks'])
  assert.equal(bytes.length - bytes.indexOf(10) - 1, head.bytes)
  const other = open(t, 'refusing blocks')
  await assert.rejects(other.import(new Blob([bytes])), failsWith(400, 'bad_request', /in IndexedDB/))
  assert.throws(() => db.export({ format: 'other' }), failsWith(400, 'bad_request', /"lines" or "blocks"/))
  assert.deepEqual(await db.repair(), { ok: true, blocks: [], lost: [], documents: 255 })
})

test('a line that is cut into many pieces is told from a backup of blocks', async (t) => {
  const db = await filled(t, 'pieces')
  const text = await textOf(db.export())
  const other = open(t, 'from pieces')
  async function* pieces() {
    for (const character of text.slice(0, 300)) yield character
    yield text.slice(300)
  }
  assert.equal((await other.import(pieces())).documents, 255)
  await assert.rejects(other.import(new Blob(['{"firkin_blocks":1'])), failsWith(400, 'bad_request', /no end/))
  await assert.rejects(
    other.import(new Blob(['{"firkin_blocks":1}\n'])),
    failsWith(400, 'bad_request', /tell the format/),
  )
})

test('a backup of blocks that nobody read for a minute is over, and one that is read goes on', async (t) => {
  const db = open(t, 'leased')
  const noise = () => Array.from({ length: 90 }, () => Math.random().toString(36)).join('')
  await db.bulkDocs(Array.from({ length: 4000 }, (_, n) => ({ _id: `d${n}`, text: noise() })))
  const { now } = Date
  t.after(() => {
    Date.now = now
  })
  for (const [idle_ms, ends] of [
    [40_000, 'whole'],
    [61_000, 404],
  ]) {
    const reader = db.export({ format: 'blocks' }).getReader()
    let passed = 0
    Date.now = () => now() + passed
    const read = async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) passed += idle_ms
      return 'whole'
    }
    assert.equal(await read().catch(({ status }) => status), ends)
    assert.ok(passed > 60_000)
    Date.now = now
  }
})
