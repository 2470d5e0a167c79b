// A database that has filled all the room there is. The browser remembers for a while how much room an origin has, so that
// this has an origin of its own.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** Leaves so much room to the origin, as long as the page is there. */
async function leaveRoom(page, quotaSize) {
  const browser = await page.context().newCDPSession(page)
  await browser.send('Storage.overrideQuotaForOrigin', { origin: profile.origin, quotaSize })
}

test('a database in IndexedDB that has filled its room is read after it is opened anew and after a repair that found no room, and is written once there is room', async () => {
  const first = await profile.open()
  await leaveRoom(first, 3_000_000)
  const filled = await first.evaluate(async () => {
    window.db = new Firkin('brim')
    const text = () => Array.from({ length: 3500 }, () => Math.random().toString(36).slice(2)).join('')
    for (let n = 0; ; n += 1) {
      try {
        await db.put({ _id: `doc${n}`, n, text: text() })
      } catch ({ name }) {
        return { name, n }
      }
    }
  })
  assert.equal(filled.name, 'quota_exceeded')
  assert.ok(filled.n > 10, JSON.stringify(filled))

  const page = await profile.open()
  await leaveRoom(page, 3_000_000)
  await first.close()
  const read = await page.evaluate(async () => {
    window.db = new Firkin('brim')
    const { docs } = await db.find({ selector: { n: { $gte: 0 } }, fields: ['n'], limit: 1000 })
    const put = await db.put({ _id: 'more' }).catch(({ name }) => name)
    return { found: docs.length, first: (await db.get('doc0')).n, put }
  })
  assert.deepEqual(read, { found: filled.n, first: 0, put: 'quota_exceeded' })

  const repair = await page.evaluate(async () => {
    const refused = await db.repair().catch(({ name }) => name)
    return { refused, first: (await db.get('doc0')).n, put: await db.put({ _id: 'more' }).catch(({ name }) => name) }
  })
  assert.deepEqual(repair, { refused: 'quota_exceeded', first: 0, put: 'quota_exceeded' })

  await leaveRoom(page)
  const written = await page.evaluate(async () => {
    const { ok } = await db.put({ _id: 'more' })
    return { ok, count: (await db.info()).doc_count, first: (await db.get('doc0')).n }
  })
  assert.deepEqual(written, { ok: true, count: filled.n + 1, first: 0 })
  await page.evaluate(() => db.destroy())
})
