// Merge policies close reviews wherever the branches come from: not only after a pull.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A page with what the tests share. */
async function prepare() {
  const page = await profile.open()
  await page.evaluate(() => {
    window.policies = { merge: { '*': 'max' } }
    /** A database in which `d` and `e` have two branches each, and nobody decides; `peer` has what they grew from. */
    window.forked = async (name, peer) => {
      const db = new Firkin(name)
      for (const _id of ['d', 'e']) {
        const { rev } = await db.put({ _id, a: 0 })
        if (peer !== undefined) await db.replicate.to(peer)
        const branch = (hash, a) => ({ _id, _rev: `2-${hash}`, _revisions: { start: 2, ids: [hash, rev.slice(2)] }, a })
        await db.bulkDocs([branch('aa', 7), branch('bb', 5)], { new_edits: false })
      }
      return db
    }
    /** The greater value of each, once nothing is open any more. */
    window.settled = async (db) => {
      for await (const { reviews } of db.reviews()) if (reviews.length === 0) break
      const docs = await Promise.all(['d', 'e'].map((id) => db.get(id, { conflicts: true })))
      return docs.map(({ a, _conflicts }) => [a, _conflicts])
    }
  })
  return page
}

const decided = [
  [7, undefined],
  [7, undefined],
]

test('policies that a database is opened with decide on what was open before, also in other storages', async () => {
  const page = await prepare()
  for (const storage of ['indexeddb', 'opfs']) {
    const seen = await page.evaluate(async (storage) => {
      const undecided = new Firkin(`changed-${storage}`, { storage })
      const source = await forked(`source-${storage}`, undecided)
      await source.replicate.to(undecided)
      const open = (await undecided.reviews()).length
      await undecided.close()
      const db = new Firkin(`changed-${storage}`, { storage, ...policies })
      const seen = { open, docs: await settled(db) }
      await db.close()
      return seen
    }, storage)
    assert.deepEqual(seen, { open: 2, docs: decided })
  }
})

test('policies decide on what another database of the page pushes', async () => {
  const page = await prepare()
  const docs = await page.evaluate(async () => {
    const db = new Firkin('pushed', policies)
    await (await forked('pusher', db)).replicate.to(db)
    return settled(db)
  })
  assert.deepEqual(docs, decided)
})

test('policies decide on what comes over a port', async () => {
  const page = await prepare()
  const docs = await page.evaluate(async () => {
    const db = new Firkin('served', policies)
    const { port1, port2 } = new MessageChannel()
    db.serve(port2)
    await (await forked('beyond', port1)).replicate.to(port1)
    return settled(db)
  })
  assert.deepEqual(docs, decided)
})

test('policies have decided when an import resolves, be it into an empty database', async () => {
  const page = await prepare()
  const seen = await page.evaluate(async () => {
    const backup = await new Response((await forked('exported')).export()).blob()
    const db = new Firkin('imported', policies)
    await db.import(backup)
    const open = (await db.reviews()).length
    return { open, docs: await settled(db) }
  })
  assert.deepEqual(seen, { open: 0, docs: decided })
})

test('policies decide on a backup of blocks', async () => {
  const page = await prepare()
  const docs = await page.evaluate(async () => {
    const backup = await new Response((await forked('copied')).export({ format: 'blocks' })).blob()
    const db = new Firkin('copy', policies)
    await db.import(backup)
    return settled(db)
  })
  assert.deepEqual(docs, decided)
})

test('policies decide on revisions that the app writes as they are', async () => {
  const page = await prepare()
  const docs = await page.evaluate(async () => {
    const source = await forked('given')
    const db = new Firkin('taking', policies)
    for (const id of ['d', 'e']) {
      const { base, branches } = await source.review(id)
      const whole = ({ _rev }) => source.get(id, { rev: _rev, revs: true })
      const docs = await Promise.all([base, ...branches.map(({ doc }) => doc)].map(whole))
      await db.bulkDocs(docs, { new_edits: false })
    }
    return settled(db)
  })
  assert.deepEqual(docs, decided)
})
