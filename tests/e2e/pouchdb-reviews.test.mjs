// Reviews beside PouchDB: a merge made here is a resolved conflict there, and a conflict that is resolved there closes the review here.

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

let folder
let server

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-pouchdb-reviews-'))
  server = await startFirkinServer({ data: folder, origin: 'http://localhost' })
})
after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A PouchDB and a Firkin that edited one document apart, and know of each other's edit. */
async function parted(t, name, options = {}) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  const pouch = new PouchDB(name, { adapter: 'memory' })
  const firkin = new Firkin(name, { storage: 'memory', ...options })
  t.after(async () => {
    await pouch.destroy()
    await firkin.close()
  })
  const { rev } = await pouch.put({ _id: 'd', a: 0, b: 0 })
  await pouch.replicate.to(url)
  await firkin.replicate.from(url)
  await pouch.put({ _id: 'd', _rev: rev, a: 1, b: 0 })
  await firkin.put({ _id: 'd', _rev: rev, a: 0, b: 2 }, { author: 'Bob' })
  const exchange = async () => {
    await pouch.sync(url)
    await firkin.sync(url)
    await pouch.sync(url)
  }
  return { pouch, firkin, exchange }
}

test('a merge made here is a resolved conflict in PouchDB', async (t) => {
  const { pouch, firkin, exchange } = await parted(t, 'merged-here')
  await exchange()
  assert.equal((await pouch.get('d', { conflicts: true }))._conflicts.length, 1)
  const [review] = await firkin.reviews()
  const { rev } = await review.merge({ _id: 'd', a: 1, b: 2 }, { author: 'Bob', message: 'both' })
  await exchange()
  const { _rev, _conflicts, a, b, firkin: told } = await pouch.get('d', { conflicts: true })
  assert.deepEqual([_rev, _conflicts, a, b], [rev, undefined, 1, 2])
  assert.deepEqual([told.author, told.message], ['Bob', 'both'])
  // It can be edited there as any document.
  await pouch.put({ _id: 'd', _rev, a: 5, b: 2 })
  await exchange()
  assert.equal((await firkin.get('d')).a, 5)
  assert.deepEqual(await firkin.reviews(), [])
})

test('a merge by a policy is a resolved conflict in PouchDB', async (t) => {
  const { pouch, firkin, exchange } = await parted(t, 'merged-by-policy', { merge: { '*': 'three-way' } })
  await exchange()
  await exchange()
  const { _rev, _conflicts, a, b } = await pouch.get('d', { conflicts: true })
  assert.deepEqual([_rev, _conflicts, a, b], [(await firkin.get('d'))._rev, undefined, 1, 2])
})

test('a conflict that PouchDB resolves closes the review here', async (t) => {
  const { pouch, firkin, exchange } = await parted(t, 'merged-there')
  await exchange()
  const updates = firkin.reviews()[Symbol.asyncIterator]()
  const first = (await updates.next()).value
  assert.deepEqual(first.reviews[0].branches.map(({ author }) => author).sort(), ['Bob', undefined])
  const { _rev, _conflicts } = await pouch.get('d', { conflicts: true })
  const { rev } = await pouch.put({ _id: 'd', _rev, a: 1, b: 2 })
  await pouch.remove('d', _conflicts[0])
  await exchange()
  const { value } = await updates.next()
  assert.deepEqual([value.reviews, value.removed.map(({ id }) => id)], [[], ['d']])
  assert.equal((await firkin.get('d'))._rev, rev)
  await assert.rejects(first.reviews[0].merge('ours'), { status: 409 })
  await updates.return()
})
