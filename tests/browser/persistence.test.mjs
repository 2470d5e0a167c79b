// What was acknowledged is there after the browser's process was killed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

for (const storage of ['indexeddb', 'opfs']) {
  test(`an acknowledged document in ${storage} is there after the browser process was killed and started again`, async () => {
    const page = await profile.open()
    const acknowledged = await page.evaluate(async (storage) => {
      const db = new Firkin('durable', { storage })
      await db.bulkDocs(Array.from({ length: 500 }, (_, n) => ({ _id: `bulk${n}`, n })))
      const { rev } = await db.put({ _id: 'edited', n: 1 })
      await db.put({ _id: 'edited', _rev: rev, n: 2 })
      await db.put({ _id: 'removed' }).then((written) => db.remove('removed', written.rev))
      const last = await db.put({ _id: 'last', text: 'the last word' })
      return { last: last.rev, info: await db.info() }
    }, storage)

    await profile.killAndStart()

    const found = await (await profile.open()).evaluate(async (storage) => {
      const db = new Firkin('durable', { storage })
      const removed = await db.get('removed').catch(({ reason }) => reason)
      const { docs } = await db.find({ selector: { n: { $gte: 498 } } })
      const [last, edited] = [await db.get('last'), await db.get('edited')]
      return { last, edited: edited.n, removed, found: docs.map(({ _id }) => _id), info: await db.info() }
    }, storage)
    assert.deepEqual(found.last, { _id: 'last', _rev: acknowledged.last, text: 'the last word' })
    assert.deepEqual([found.edited, found.removed, found.found], [2, 'deleted', ['bulk498', 'bulk499']])
    const { doc_count, doc_del_count, identity } = acknowledged.info
    assert.deepEqual(found.info, { ...found.info, doc_count, doc_del_count, identity })
  })

  test(`writes to ${storage} that were acknowledged one by one until the kill are all there, and the feed goes on`, async () => {
    const page = await profile.open()
    let acknowledged = -1
    await page.exposeFunction('acknowledge', (n) => {
      acknowledged = n
    })
    page
      .evaluate(async (storage) => {
        const db = new Firkin('streamed', { storage })
        for (let n = 0; ; n += 1) {
          await db.put({ _id: `s${n}`, n })
          acknowledge(n)
        }
      }, storage)
      .catch(() => {})
    while (acknowledged < 100) await new Promise((resolve) => setTimeout(resolve, 5))
    await profile.killAndStart()

    const { ids, feed } = await (await profile.open()).evaluate(async (storage) => {
      const db = new Firkin('streamed', { storage })
      const { rows } = await db.allDocs()
      const { results } = await db.changes()
      await db.put({ _id: 'after' })
      return { ids: rows.map(({ id }) => id), feed: results.length }
    }, storage)
    const missing = Array.from({ length: acknowledged + 1 }, (_, n) => `s${n}`).filter((id) => !ids.includes(id))
    assert.deepEqual(missing, [])
    assert.equal(feed, ids.length)
  })
}
