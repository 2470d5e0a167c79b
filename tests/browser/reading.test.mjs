// A database that is only read is left as it is: it is taken over with the first write, by whoever leads then.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freeze, processOf } from '../support/freeze.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** What IndexedDB holds of a database, by its keys: the bytes of blocks, as text. */
const stored = (page, name) =>
  page.evaluate(async (name) => {
    const answered = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
    const connection = await answered(indexedDB.open(`firkin:${name}`))
    const blocks = connection.transaction('blocks').objectStore('blocks')
    const [keys, values] = await Promise.all([answered(blocks.getAllKeys()), answered(blocks.getAll())])
    connection.close()
    return Object.fromEntries(keys.map((key, place) => [key, String(values[place])]))
  }, name)

const epochOf = (blocks) => blocks[3 * 2 ** 48]

test('who opens a database, reads and leaves has written nothing to it', async () => {
  const page = await profile.open()
  const use = (work) =>
    page.evaluate(async (work) => {
      const db = new Firkin('read')
      const answer = await new Function('db', `return (${work})(db)`)(db)
      await db.close()
      return answer
    }, String(work))
  await use((db) => db.bulkDocs(Array.from({ length: 300 }, (_, n) => ({ _id: `a${n}`, n }))))
  const before = await stored(page, 'read')
  const found = await use(async (db) => {
    const { docs } = await db.find({ selector: { n: { $gt: 297 } } })
    return [docs.length, (await db.get('a7')).n, (await db.info()).doc_count]
  })
  assert.deepEqual(found, [2, 7, 300])
  assert.deepEqual(await stored(page, 'read'), before)
  await use((db) => db.put({ _id: 'b' }))
  assert.notEqual(epochOf(await stored(page, 'read')), epochOf(before))
  await page.close()
})

test('a tab that has led, only read and been frozen writes by the one that leads since', async () => {
  const first = await profile.open()
  await first.evaluate(async () => {
    const db = new Firkin('asleep')
    await db.put({ _id: 'a', n: 1 })
    await db.close()
  })
  const lead = () => {
    window.db = new Firkin('asleep')
    window.turns = []
    db.on('leader', ({ leading }) => turns.push(leading))
    return db.get('a')
  }
  await first.evaluate(lead)
  assert.deepEqual(await first.evaluate(() => turns), [true])
  const epoch = epochOf(await stored(first, 'asleep'))
  const second = await profile.open()
  const id = await processOf(first)
  await second.evaluate(lead)
  const thaw = freeze(id)
  try {
    await second.waitForFunction(() => turns.at(-1) === true, undefined, { timeout: 20_000 })
    await second.evaluate(() => db.put({ _id: 'b', n: 2 }))
  } finally {
    thaw()
  }
  await first.evaluate(() => db.put({ _id: 'c', n: 3 }))
  for (const page of [first, second]) {
    const { rows } = await page.evaluate(() => db.allDocs())
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['a', 'b', 'c'],
    )
  }
  assert.deepEqual(await first.evaluate(() => turns.at(-1)), false)
  assert.notEqual(epochOf(await stored(second, 'asleep')), epoch)
})
