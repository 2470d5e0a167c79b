// Attachments, compaction and purging, with the real engine, in memory and in this process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connection } from '../dist/connection.js'
import { open } from './open.mjs'

const hello = { content_type: 'text/plain', revpos: 1, digest: 'md5-XUFAKrxLKna5cZ2REBfFkg==' }

const failsWith = (status, name, reason) => (error) => {
  assert.deepEqual([error.status, error.name], [status, name])
  if (reason !== undefined) assert.equal(error.reason, reason)
  return true
}
const bytesOf = async (blob) => [...new Uint8Array(await blob.arrayBuffer())]
const textOf = (blob) => blob.text()

test('a content is given in any form, and shown as a stub, in base64 or as a Blob', async (t) => {
  const db = open(t, 'forms')
  const bytes = new TextEncoder().encode('-hello-').subarray(1, 6)
  const forms = {
    blob: new Blob(['hello'], { type: 'text/plain' }),
    view: bytes,
    dataView: new DataView(bytes.buffer, 1, 5),
    buffer: bytes.slice().buffer,
    base64: 'aGVsbG8=',
  }
  for (const [id, data] of Object.entries(forms)) {
    const given = data instanceof Blob ? { data } : { content_type: 'text/plain', data }
    await db.put({ _id: id, _attachments: { h: given } })
    assert.deepEqual((await db.get(id))._attachments, { h: { ...hello, length: 5, stub: true } }, id)
    const { _attachments } = await db.get(id, { attachments: true })
    assert.deepEqual(_attachments, { h: { ...hello, data: 'aGVsbG8=' } }, id)
    const binary = (await db.get(id, { attachments: true, binary: true }))._attachments.h
    assert.deepEqual([await textOf(binary.data), binary.data.type], ['hello', 'text/plain'], id)
    assert.deepEqual(Object.keys(binary).sort(), ['content_type', 'data', 'digest', 'revpos'], id)
  }
  // PouchDB leaves the revision of a new document out.
  const calls = [
    [undefined, forms.base64, 'text/plain'],
    [forms.base64, 'text/plain'],
    [undefined, forms.blob],
    [null, forms.view, 'text/plain'],
    [forms.buffer, 'text/plain'],
  ]
  for (const [n, call] of calls.entries()) {
    await db.putAttachment(`put${n}`, 'h', ...call)
    const found = await db.getAttachment(`put${n}`, 'h')
    assert.deepEqual([await textOf(found), found.type], ['hello', 'text/plain'], `call ${n}`)
  }
  assert.deepEqual([(await db.compact()).contents_kept, (await db.compact()).contents_kept_bytes], [1, 5])
})

test('a content that is a string needs a type, and is told so', async (t) => {
  const db = open(t, 'typeless')
  const { rev } = await db.put({ _id: 'a' })
  const refused = failsWith(
    400,
    'bad_request',
    'a content that is a string, which is base64, needs a type as its next argument',
  )
  for (const given of [
    [rev, btoa('hello')],
    [undefined, btoa('hello')],
    [null, btoa('hello')],
  ]) {
    await assert.rejects(db.putAttachment('a', 'x', ...given), refused)
  }
  await assert.rejects(db.putAttachment('a', 'x', rev), { status: 400, reason: /^an attachment is a Blob/ })
  await db.putAttachment('a', 'x', rev, btoa('hello'), 'text/plain')
  assert.equal(await textOf(await db.getAttachment('a', 'x')), 'hello')
})

test('attachments are shown wherever documents are, with data where it is asked for', async (t) => {
  const db = open(t, 'shown')
  const [written] = await db.bulkDocs([{ _id: 'a', n: 1, _attachments: { h: { data: new Blob(['hello']) } } }])
  const attachments = true
  const shown = async (asked) => [
    (await db.allDocs({ include_docs: true, ...asked })).rows[0].doc,
    (await db.changes({ include_docs: true, ...asked })).results[0].doc,
    (await db.get('a', { open_revs: 'all', ...asked }))[0].ok,
    (await db.bulkGet({ docs: [{ id: 'a' }], ...asked })).results[0].docs[0].ok,
  ]
  for (const doc of [...(await shown({})), ...(await db.find({ selector: { n: 1 } })).docs]) {
    assert.deepEqual([doc._attachments.h.stub, doc._attachments.h.length], [true, 5])
  }
  for (const doc of await shown({ attachments })) assert.equal(doc._attachments.h.data, 'aGVsbG8=')
  const found = await db.find({ selector: { '_attachments.h.length': 5 }, fields: ['_rev'] })
  assert.deepEqual(found.docs, [{ _rev: written.rev }])
})

test('a content of several parts comes back whole, and what is empty is empty', async (t) => {
  const db = open(t, 'parts')
  const bytes = new Uint8Array(2_500_001).map((_, place) => place * 7 + (place >> 9))
  const { rev } = await db.putAttachment('a', 'long', undefined, bytes, 'application/x-long')
  bytes.fill(0)
  const long = await db.getAttachment('a', 'long')
  assert.equal(long.size, 2_500_001)
  const back = new Uint8Array(await long.arrayBuffer())
  assert.equal(
    back.findIndex((byte, place) => byte !== ((place * 7 + (place >> 9)) & 255)),
    -1,
  )
  await db.putAttachment('a', 'empty', rev, new Blob([]))
  const empty = await db.getAttachment('a', 'empty')
  assert.deepEqual([empty.size, empty.type], [0, 'application/octet-stream'])
})

test('an attachment is replaced, kept by its stub and removed, and old revisions have what they had', async (t) => {
  const db = open(t, 'edited')
  const first = await db.putAttachment('a', 'x', undefined, new Blob(['one']), 'text/plain')
  const second = await db.putAttachment('a', 'x', first.rev, new Blob(['two']), 'text/plain')
  const doc = await db.get('a')
  const third = await db.put({ ...doc, n: 1 })
  assert.equal(await textOf(await db.getAttachment('a', 'x')), 'two')
  assert.equal(await textOf(await db.getAttachment('a', 'x', { rev: first.rev })), 'one')
  await assert.rejects(db.removeAttachment('a', 'x', second.rev), failsWith(409, 'conflict'))
  const { rev } = await db.removeAttachment('a', 'x', third.rev)
  assert.deepEqual(await db.get('a'), { _id: 'a', _rev: rev, n: 1 })
  const missing = failsWith(404, 'not_found', 'Document is missing attachment')
  await assert.rejects(db.getAttachment('a', 'x'), missing)
  await assert.rejects(db.removeAttachment('a', 'x', rev), missing)
})

test('a merge keeps the attachments of the branch that it takes', async (t) => {
  const db = open(t, 'merged')
  const branch = (hash, text) => ({
    _id: 'a',
    _rev: `2-${hash}`,
    _revisions: { start: 2, ids: [hash, 'r'] },
    _attachments: { [hash]: { data: new Blob([text]) } },
  })
  await db.bulkDocs([branch('b', 'mine'), branch('a', 'theirs')], { new_edits: false })
  const review = await db.review('a')
  assert.deepEqual(
    review.branches.map(({ rev }) => rev),
    ['2-b', '2-a'],
  )
  await review.merge('2-a')
  assert.equal(await textOf(await db.getAttachment('a', 'a')), 'theirs')
})

test('what is wrong is refused, and what was staged for it does not stay', async (t) => {
  const db = open(t, 'refused')
  const { rev } = await db.put({ _id: 'a' })
  const long = new Blob([new Uint8Array(2_500_000)])
  await assert.rejects(db.putAttachment('a', 'x', undefined, long), failsWith(409, 'conflict'))
  await assert.rejects(db.put({ _id: 'a', _attachments: { x: { data: long } } }), failsWith(409, 'conflict'))
  await assert.rejects(
    db.put({ _id: 'a', _rev: rev, n: 1n, _attachments: { x: { data: long } } }),
    failsWith(400, 'bad_request'),
  )
  await assert.rejects(db.put({ _id: 'a', _rev: rev, n: long }), failsWith(400, 'bad_request'))
  const stub = { _id: 'b', _attachments: { x: { stub: true } } }
  await assert.rejects(db.put(stub), failsWith(412, 'missing_stub', 'Invalid attachment stub in b for x'))
  await assert.rejects(db.putAttachment('b', 'x', undefined, '***', 'a/b'), failsWith(400, 'bad_request'))
  await assert.rejects(db.putAttachment('b', 'x', undefined, 5, 'a/b'), failsWith(400, 'bad_request'))
  const bad = { _id: 'b', _attachments: { x: { data: '***' } } }
  await assert.rejects(db.put(bad), failsWith(400, 'bad_request', 'Invalid attachment data for x'))
  await assert.rejects(db.getAttachment('none', 'x'), failsWith(404, 'not_found', 'missing'))
  const aborted = AbortSignal.abort()
  await assert.rejects(db.put({ _id: 'c', _attachments: { x: { data: long } } }, { signal: aborted }), {
    name: 'AbortError',
  })
  const { contents_dropped, contents_kept, contents_incoming } = await db.compact()
  assert.deepEqual([contents_dropped, contents_kept, contents_incoming], [0, 0, 0])
})

test('a content is read from one revision, whatever is written meanwhile', async (t) => {
  const db = open(t, 'read')
  const { rev } = await db.putAttachment('a', 'x', undefined, new Uint8Array(9_000_000).fill(1), 'a/b')
  const reading = db.getAttachment('a', 'x')
  await db.putAttachment('a', 'x', rev, new Uint8Array([2, 2]), 'a/b')
  const read = new Uint8Array(await (await reading).arrayBuffer())
  assert.deepEqual([read.length, new Set(read)], [9_000_000, new Set([1])])
})

test('what the leader lost is sent again, the call with it', async () => {
  const seen = []
  const port = {
    post(message, transfer = []) {
      const { id, method, payload } = structuredClone(message, { transfer })
      if (method === undefined) return
      seen.push([method, payload.byteLength])
      const lost = method === 'put' && seen.length === 2
      const error = { status: 404, name: 'content_lost', reason: 'lost' }
      queueMicrotask(() =>
        port.receive(lost ? { type: 'refused', id, error } : { type: 'result', id, payload: new Uint8Array() }),
      )
    },
    receive() {},
    close() {},
  }
  const connection = new Connection(() => port)
  const contents = new Map([[connection.newUpload(), new Blob(['x'])]])
  await connection.call('put', { doc: { _id: 'a' } }, { write: true, contents })
  assert.deepEqual(
    seen.map(([method]) => method),
    ['stage', 'put', 'stage', 'put'],
  )
  assert.deepEqual(seen.slice(0, 2), seen.slice(2))
})

test('a content is taken down when the call is made', async (t) => {
  const db = open(t, 'taken-down')
  const bytes = new Uint8Array([1, 2, 3])
  const doc = { _id: 'a', list: [1], _attachments: { x: { data: bytes } } }
  const put = db.put(doc)
  bytes.fill(9)
  doc.list.push(2)
  doc._attachments.x = { data: 'eA==' }
  await put
  const { list } = await db.get('a')
  assert.deepEqual([list, await bytesOf(await db.getAttachment('a', 'x'))], [[1], [1, 2, 3]])
})

test('names of attachments are data', async (t) => {
  const db = open(t, 'names')
  const name = 'constructor'
  const { rev } = await db.putAttachment('a', name, undefined, new Blob(['x']), 'a/b')
  await db.putAttachment('a', 'ü/..//%2f', rev, new Blob(['y']), 'a/b')
  const doc = await db.get('a', { attachments: true, binary: true })
  const names = Object.keys(doc._attachments).sort()
  assert.deepEqual(names, ['constructor', 'ü/..//%2f'])
  await db.put({ ...doc, n: 1 })
  assert.equal(await textOf(await db.getAttachment('a', name)), 'x')
})

test('compaction drops old bodies and keeps the base of a review', async (t) => {
  const db = open(t, 'compacted')
  let { rev } = await db.put({ _id: 'a', n: 0 })
  const first = rev
  for (let n = 1; n < 5; n += 1) ({ rev } = await db.put({ _id: 'a', _rev: rev, n }))
  const path = (...ids) => ({
    _id: 'c',
    _rev: `${ids.length}-${ids[0]}`,
    _revisions: { start: ids.length, ids },
    of: ids[0],
  })
  await db.bulkDocs([path('r'), path('b', 'r'), path('x', 'b', 'r'), path('y', 'b', 'r')], { new_edits: false })
  const told = []
  db.on('progress', (progress) => told.push(progress))
  const { ok, documents, revisions } = await db.compact()
  assert.deepEqual([ok, documents, revisions], [true, 2, 5])
  assert.deepEqual([told.length > 0, told.at(-1).task, told.at(-1).revisions], [true, 'compact', 5])
  await assert.rejects(db.get('a', { rev: first }), failsWith(404, 'not_found', 'missing'))
  const { _revs_info } = await db.get('a', { revs_info: true })
  assert.deepEqual(
    _revs_info.map(({ status }) => status),
    ['available', 'missing', 'missing', 'missing', 'missing'],
  )
  assert.equal((await db.review('c')).base.of, 'b')
})

test('purge takes a branch out, and the document with the last one', async (t) => {
  const db = open(t, 'purged')
  const path = (...ids) => ({
    _id: 'a',
    _rev: `${ids.length}-${ids[0]}`,
    _revisions: { start: ids.length, ids },
    of: ids[0],
  })
  await db.bulkDocs([path('r'), path('b', 'r'), path('y', 'x', 'r')], { new_edits: false })
  await assert.rejects(db.purge('a', '2-x'), failsWith(409, 'conflict'))
  await assert.rejects(db.purge('a', '2-none'), failsWith(404, 'not_found', 'missing'))
  const branch = await db.purge('a', '3-y')
  assert.deepEqual(branch, { ok: true, deletedRevs: ['3-y', '2-x'], documentWasRemovedCompletely: false })
  assert.deepEqual(
    (await db.find({ selector: { of: { $gt: '' } } })).docs.map(({ of }) => of),
    ['b'],
  )
  const whole = await db.purge('a', '2-b')
  assert.deepEqual(whole, { ok: true, deletedRevs: ['2-b', '1-r'], documentWasRemovedCompletely: true })
  const { doc_count, doc_del_count } = await db.info()
  assert.deepEqual([doc_count, doc_del_count, (await db.changes()).results], [0, 0, []])
})
