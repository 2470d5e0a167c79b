// Attachments between the real PouchDB, the server and Firkin: whoever writes one, all have the same in the end.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import httpAdapter from 'pouchdb-adapter-http'
import memoryAdapter from 'pouchdb-adapter-memory'
import PouchDB from 'pouchdb-core'
import replication from 'pouchdb-replication'
import { Firkin } from '../../js/dist/index.js'
import { startFirkinServer } from '../support/firkin-server.mjs'

PouchDB.plugin(memoryAdapter).plugin(httpAdapter).plugin(replication)

const long = Buffer.from(Uint8Array.from({ length: 2_500_000 }, (_, place) => place ^ (place >> 8)))
let folder
let server

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-pouchdb-'))
  server = await startFirkinServer({ data: folder, origin: 'http://localhost' })
})
after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function newRemote(name) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  return url
}
const bufferOf = async (blob) => Buffer.from(await blob.arrayBuffer())

test('attachments go from PouchDB over the server to Firkin and back, with their revisions', async () => {
  const url = await newRemote('both-ways')
  const pouch = new PouchDB('both-ways', { adapter: 'memory' })
  const firkin = new Firkin('both-ways', { storage: 'memory' })
  try {
    const first = await pouch.put({
      _id: 'a',
      n: 1,
      _attachments: {
        'long.bin': { content_type: 'application/x-long', data: long },
        'hello.txt': { content_type: 'text/plain', data: Buffer.from('hello') },
      },
    })
    await pouch.replicate.to(url)
    const pulled = await firkin.replicate.from(url)
    assert.deepEqual([pulled.docs_written, pulled.doc_write_failures], [1, 0])
    const doc = await firkin.get('a')
    assert.equal(doc._rev, first.rev)
    const { _attachments } = await pouch.get('a')
    assert.deepEqual(doc._attachments, _attachments, 'digests, lengths and positions')
    const found = await firkin.getAttachment('a', 'long.bin')
    assert.deepEqual([found.type, long.equals(await bufferOf(found))], ['application/x-long', true])

    // One is kept by its stub, one is removed, one is new.
    delete doc._attachments['hello.txt']
    doc._attachments.new = { content_type: 'text/plain', data: new Blob(['new']) }
    const second = await firkin.put({ ...doc, n: 2 })
    const pushed = await firkin.replicate.to(url)
    assert.deepEqual([pushed.docs_written, pushed.doc_write_failures], [1, 0])
    await pouch.replicate.from(url)
    const back = await pouch.get('a', { attachments: true, binary: true })
    assert.deepEqual([back._rev, Object.keys(back._attachments).sort()], [second.rev, ['long.bin', 'new']])
    assert.ok(long.equals(back._attachments['long.bin'].data))
    assert.equal(String(await pouch.getAttachment('a', 'new')), 'new')

    // PouchDB goes on from there.
    const { rev } = await pouch.putAttachment('a', 'new', second.rev, Buffer.from('newer'), 'text/plain')
    await pouch.replicate.to(url)
    await firkin.replicate.from(url)
    assert.equal((await firkin.get('a'))._rev, rev)
    assert.equal(await (await firkin.getAttachment('a', 'new')).text(), 'newer')
    assert.ok(long.equals(await bufferOf(await firkin.getAttachment('a', 'long.bin'))))
    const { contents_kept } = await firkin.compact()
    assert.equal(contents_kept, 2)
  } finally {
    await firkin.close()
    await pouch.destroy()
  }
})

test('conflicting attachments are branches on all sides', async () => {
  const url = await newRemote('branches')
  const pouch = new PouchDB('branches', { adapter: 'memory' })
  const firkin = new Firkin('branches', { storage: 'memory' })
  try {
    const { rev } = await pouch.putAttachment('a', 'x', Buffer.from('base'), 'text/plain')
    await pouch.sync(url)
    await firkin.sync(url)
    const theirs = await pouch.putAttachment('a', 'x', rev, Buffer.from('theirs'), 'text/plain')
    const mine = await firkin.putAttachment('a', 'x', rev, new Blob(['mine']), 'text/plain')
    await pouch.sync(url)
    await firkin.sync(url)
    await pouch.sync(url)
    // PouchDB 9 is not asked: for a losing branch that it pulls, it fetches the winner's content.
    for (const written of [mine, theirs]) {
      const text = written === mine ? 'mine' : 'theirs'
      assert.equal(await (await firkin.getAttachment('a', 'x', { rev: written.rev })).text(), text)
      assert.equal(await (await fetch(`${url}/a/x?rev=${written.rev}`)).text(), text)
    }
    const review = await firkin.review('a')
    const loser = review.branches[1].rev
    const merged = await review.merge(loser)
    await firkin.sync(url)
    await pouch.sync(url)
    const { _rev, _conflicts } = await pouch.get('a', { conflicts: true })
    assert.deepEqual([_rev, _conflicts], [merged.rev, undefined])
    assert.equal(String(await pouch.getAttachment('a', 'x')), loser === mine.rev ? 'mine' : 'theirs')
  } finally {
    await firkin.close()
    await pouch.destroy()
  }
})

test('PouchDB reads and writes attachments on the server itself', async () => {
  const remote = new PouchDB(await newRemote('remote'))
  const first = await remote.putAttachment('a', 'dir/long é.bin', long, 'application/x-long')
  const second = await remote.put({
    ...(await remote.get('a')),
    _attachments: { ...(await remote.get('a'))._attachments, small: { content_type: 'text/plain', data: 'aGVsbG8=' } },
  })
  const doc = await remote.get('a', { attachments: true, binary: true })
  assert.deepEqual(Object.keys(doc._attachments).sort(), ['dir/long é.bin', 'small'])
  assert.ok(long.equals(doc._attachments['dir/long é.bin'].data))
  assert.equal(String(await remote.getAttachment('a', 'small')), 'hello')
  const { rows } = await remote.allDocs({ include_docs: true, attachments: true })
  assert.equal(rows[0].doc._attachments.small.data, 'aGVsbG8=')
  await assert.rejects(remote.removeAttachment('a', 'small', first.rev), { status: 409 })
  await remote.removeAttachment('a', 'small', second.rev)
  await assert.rejects(remote.getAttachment('a', 'small'), { status: 404 })
  await assert.rejects(remote.put({ _id: 'b', _attachments: { x: { stub: true, digest: 'md5-x' } } }), { status: 412 })
  await remote.compact()
})
