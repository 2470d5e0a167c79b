// Replication between what people really run: Firkin in Chromium with PouchDB Server, PouchDB with Firkin's own server. Both
// ends hold the same leaves and winners afterwards, whatever either did.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { useProfile } from '../browser/profile.mjs'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { begin, diverge, replicaOf, settle } from '../support/pair.mjs'
import { PouchDB, startPouchServer } from '../support/pouchdb.mjs'

const support = fileURLToPath(new URL('../support/', import.meta.url))
const profile = useProfile({}, { folders: { '/support/': support } })
let folder
let page
let pouchServer
let firkinServer

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-pairs-'))
  page = await profile.open()
  await page.evaluate(async () => {
    window.pair = await import('/support/pair.mjs')
  })
  const { origin } = profile
  pouchServer = await startPouchServer({ origin })
  firkinServer = await startFirkinServer({ data: folder, origin })
})
after(async () => {
  await pouchServer?.stop()
  await firkinServer?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function newDatabase(server, name) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  return url
}

/** Waits until both ends hold the same. */
async function agree(one, other, patience_ms = 30_000) {
  const deadline = Date.now() + patience_ms
  for (;;) {
    const [here, there] = [await one(), await other()]
    try {
      assert.deepEqual(here, there)
      return here
    } catch (error) {
      if (Date.now() > deadline) throw error
      await pause(100)
    }
  }
}

/** A database of Firkin in the page, by its name: the calls of pair.mjs and one replication with `url`. */
function inPage(name, url) {
  const run = (work, argument) => page.evaluate(work, { name, url, argument })
  return {
    open: () =>
      run(({ name }) => {
        window[name] = new Firkin(name)
      }),
    begin: () => run(({ name }) => pair.begin(window[name])),
    diverge: (who) => run(({ name, argument }) => pair.diverge(window[name], argument), who),
    settle: () => run(({ name }) => pair.settle(window[name])),
    replica: () => run(({ name }) => pair.replicaOf(window[name])),
    put: (doc) => run(({ name, argument }) => window[name].put(argument), doc),
    sync: () =>
      run(async ({ name, url }) => {
        const { push, pull } = await window[name].sync(url)
        return push.doc_write_failures + pull.doc_write_failures
      }),
    live: () =>
      run(({ name, url }) => {
        window[`${name} live`] = window[name].sync(url, { live: true, retry: true })
      }),
    close: () => run(({ name }) => window[name].destroy()),
  }
}

test('Firkin and PouchDB Server hold the same after edits, deletions, conflicts and attachments on both sides', async () => {
  const url = await newDatabase(pouchServer, 'whole')
  const [firkin, pouch] = [inPage('whole', url), new PouchDB(url)]
  await firkin.open()
  await firkin.begin()
  assert.equal(await firkin.sync(), 0)
  const begun = await agree(firkin.replica, () => replicaOf(pouch))
  assert.equal(Object.keys(begun.leaves).length, 1000)
  assert.equal(Object.keys(begun.attachments).length, 10)

  await firkin.diverge('left')
  await diverge(pouch, 'right')
  assert.equal(await firkin.sync(), 0)
  const { leaves } = await agree(firkin.replica, () => replicaOf(pouch))
  assert.equal(Object.values(leaves).filter((revs) => Object.keys(revs).length > 1).length, 35)

  assert.ok((await settle(pouch)) > 0)
  assert.equal(await firkin.sync(), 0)
  await agree(firkin.replica, () => replicaOf(pouch))
  assert.equal(await firkin.settle(), 0)
  await firkin.close()
})

test('what PouchDB Server has comes to Firkin, and its conflicts are settled there', async () => {
  const url = await newDatabase(pouchServer, 'theirs')
  const [firkin, pouch] = [inPage('theirs', url), new PouchDB(url)]
  await begin(pouch)
  await firkin.open()
  assert.equal(await firkin.sync(), 0)
  await agree(firkin.replica, () => replicaOf(pouch))
  await firkin.diverge('right')
  await diverge(pouch, 'left')
  assert.equal(await firkin.sync(), 0)
  assert.ok((await firkin.settle()) > 0)
  assert.equal(await firkin.sync(), 0)
  await agree(firkin.replica, () => replicaOf(pouch))
  assert.equal(await settle(pouch), 0)
  await firkin.close()
})

test('a live sync carries the edits of Firkin and of PouchDB Server to each other', async () => {
  const url = await newDatabase(pouchServer, 'live')
  const [firkin, pouch] = [inPage('live', url), new PouchDB(url)]
  await firkin.open()
  await firkin.live()
  await begin(pouch)
  await agree(firkin.replica, () => replicaOf(pouch))
  await Promise.all([firkin.diverge('left'), diverge(pouch, 'right')])
  await firkin.put({ _id: 'last here' })
  await pouch.put({ _id: 'last there' })
  const { winners } = await agree(firkin.replica, () => replicaOf(pouch))
  assert.ok('last here' in winners && 'last there' in winners)
  await firkin.close()
})

test('PouchDB and our server hold the same after edits, deletions, conflicts and attachments on both sides', async () => {
  const url = await newDatabase(firkinServer, 'whole')
  const [pouch, served] = [new PouchDB('whole', { adapter: 'memory' }), new PouchDB(url)]
  await begin(pouch)
  await pouch.sync(url)
  await agree(
    () => replicaOf(pouch),
    () => replicaOf(served),
  )
  await diverge(pouch, 'left')
  await diverge(served, 'right')
  const { push, pull } = await pouch.sync(url)
  assert.deepEqual([push.doc_write_failures, pull.doc_write_failures], [0, 0])
  await agree(
    () => replicaOf(pouch),
    () => replicaOf(served),
  )
  assert.ok((await settle(served)) > 0)
  await pouch.sync(url)
  await agree(
    () => replicaOf(pouch),
    () => replicaOf(served),
  )
  await pouch.destroy()
})

test('live syncs of PouchDB and of Firkin with our server carry edits all the way', async () => {
  const url = await newDatabase(firkinServer, 'live')
  const [firkin, pouch] = [inPage('three', url), new PouchDB('three', { adapter: 'memory' })]
  await firkin.open()
  await firkin.live()
  const live = pouch.sync(url, { live: true, retry: true })
  await begin(pouch)
  await agree(firkin.replica, () => replicaOf(pouch))
  await Promise.all([firkin.diverge('left'), diverge(pouch, 'right')])
  const { winners } = await agree(firkin.replica, () => replicaOf(pouch))
  assert.deepEqual((await replicaOf(new PouchDB(url))).winners, winners)
  live.cancel()
  await live
  await firkin.close()
  await pouch.destroy()
})
