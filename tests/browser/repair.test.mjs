// Damage of what is stored, done to the blocks in IndexedDB: it is reported by name, and repaired.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

const SEGMENTS = 2 * 2 ** 48
const ENDS = 3 * 2 ** 48

/** Adds `damage(name, choose)` to a page: `choose(key, bytes)` picks blocks, in which a byte is flipped; how many. */
async function withDamage(page) {
  await page.evaluate(() => {
    window.damage = (name, from, to, content) =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open(`firkin:${name}`)
        opening.onerror = () => reject(opening.error)
        opening.onsuccess = () => {
          const connection = opening.result
          const transaction = connection.transaction('blocks', 'readwrite')
          const walk = transaction.objectStore('blocks').openCursor(IDBKeyRange.bound(from, to))
          const damaged = []
          walk.onsuccess = () => {
            const cursor = walk.result
            if (cursor === null) return
            const bytes = cursor.value
            const text = new TextDecoder('latin1').decode(bytes)
            if (damaged.length === 0 && (content === undefined || text.includes(content))) {
              bytes[bytes.length >> 1] ^= 1
              cursor.update(bytes)
              damaged.push(cursor.key)
            }
            cursor.continue()
          }
          transaction.oncomplete = () => {
            connection.close()
            resolve(damaged)
          }
          transaction.onabort = () => reject(transaction.error)
        }
      })
    // Text that compresses as little as the store's blocks let it, so that there are many of them.
    window.documents = (count) =>
      Array.from({ length: count }, (_, n) => ({
        _id: `d${String(n).padStart(5, '0')}`,
        n,
        text: `<${n}> words `.repeat(30),
      }))
  })
  return page
}

test('a damaged block is reported by name, and after a repair all but what stood in it is read and found', async () => {
  const page = await withDamage(await profile.open())
  const outcome = await page.evaluate(
    async ({ from, to }) => {
      const peer = new Firkin('intact')
      const first = new Firkin('damaged')
      for (const db of [peer, first]) await db.bulkDocs(documents(3000))
      const before = await first.info()
      await first.close()
      const damaged = await damage('damaged', from, to, '<1500> words')

      const db = new Firkin('damaged')
      const told = []
      db.on('progress', ({ task, done, total }) => told.push({ task, done, total }))
      const seen = await db.get('d01500').catch(({ status, name, reason }) => ({ status, name, reason }))
      const other = await db.get('d00002')
      const repaired = await db.repair()
      const info = await db.info()
      const lost = await db.get('d01500').catch(({ status, reason }) => ({ status, reason }))
      const { rows } = await db.allDocs({ include_docs: true })
      const answers = []
      for (const n of [2, 1499, 1500, 2999]) {
        const { docs } = await db.find({ selector: { n } })
        answers.push(
          docs.map((doc) => doc.n).join() ===
            rows
              .filter(({ doc }) => doc.n === n)
              .map(({ doc }) => doc.n)
              .join(),
        )
      }
      const { results } = await db.changes()
      await db.put({ _id: 'new', n: 1 })
      // What a replication asks, and brings.
      const wanted = await db.revsDiff(Object.fromEntries(repaired.lost.map(({ id, rev }) => [id, [rev]])))
      const docs = Object.entries(wanted).map(([id, { missing }]) => ({ id, rev: missing[0] }))
      const sent = (await peer.bulkGet({ docs, revs: true })).results.map(({ docs: [{ ok }] }) => ok)
      await db.bulkDocs(sent, { new_edits: false })
      const back = await db.get('d01500')
      return {
        damaged,
        seen,
        other: other.n,
        repaired,
        lost,
        answers,
        told,
        back: back.n,
        identities: [before.identity, info.identity],
        counts: [info.doc_count, rows.length, repaired.lost.length],
        feed: results.length,
        after: (await db.info()).doc_count,
      }
    },
    { from: SEGMENTS, to: ENDS - 1 },
  )
  const { repaired } = outcome
  const block = `block ${outcome.damaged[0] % 2 ** 20} of segment ${Math.floor((outcome.damaged[0] % 2 ** 48) / 2 ** 20)}`
  const seen = `stored data is damaged: ${block} does not match its checksum`
  assert.deepEqual(outcome.seen, { status: 500, name: 'storage_failed', reason: seen })
  assert.equal(outcome.other, 2)
  assert.deepEqual(repaired.blocks, [`${block} does not match its checksum`])
  assert.deepEqual(outcome.lost, { status: 404, reason: 'missing' })
  assert.ok(repaired.lost.some(({ id, lost }) => id === 'd01500' && lost === 'leaf'))
  assert.ok(repaired.lost.length < 100, `${repaired.lost.length} of one block`)
  const [count, rows, lost] = outcome.counts
  assert.deepEqual([count, rows, outcome.feed, repaired.documents], [3000 - lost, 3000 - lost, 3000, 3000])
  assert.deepEqual(outcome.answers, [true, true, true, true])
  assert.notEqual(outcome.identities[0], outcome.identities[1])
  assert.ok(outcome.told.filter(({ task }) => task === 'repair').length > 2, JSON.stringify(outcome.told))
  assert.deepEqual([outcome.back, outcome.after], [1500, 3001])
})

test('a database whose manifest is damaged does not open, and is open once it is repaired', async () => {
  const page = await withDamage(await profile.open())
  const outcome = await page.evaluate(async () => {
    const first = new Firkin('unopened')
    await first.bulkDocs(documents(2000))
    await first.put({ _id: 'late', n: -1 })
    await first.close()
    await damage('unopened', 0, 0)
    const db = new Firkin('unopened')
    const reason = await db.ready.catch((error) => error.reason)
    const refused = await db.put({ _id: 'refused' }).catch(({ status }) => status)
    const repaired = await db.repair()
    const { rows } = await db.allDocs()
    const { docs } = await db.find({ selector: { n: { $in: [-1, 0, 1999] } } })
    await db.put({ _id: 'written' })
    await db.close()
    const again = new Firkin('unopened')
    const count = (await again.info()).doc_count
    await again.destroy()
    return { reason, refused, repaired, rows: rows.length, found: docs.map(({ n }) => n), count }
  })
  const what = 'the manifest does not match its checksum'
  assert.deepEqual([outcome.reason, outcome.refused], [`stored data is damaged: ${what}`, 500])
  assert.deepEqual(outcome.repaired, { ok: true, blocks: [what], lost: [], documents: 2001 })
  assert.deepEqual([outcome.rows, outcome.found, outcome.count], [2001, [0, 1999, -1], 2002])
})

test('an instance that could not open the database goes on once another has repaired it', async () => {
  const page = await withDamage(await profile.open())
  const outcome = await page.evaluate(async () => {
    const first = new Firkin('twice')
    await first.put({ _id: 'a', n: 1 })
    await first.close()
    await damage('twice', 0, 0)
    const [mender, other] = [new Firkin('twice'), new Firkin('twice')]
    const refused = await Promise.all([mender, other].map((db) => db.ready.catch(({ name }) => name)))
    await mender.repair()
    const deadline = performance.now() + 10_000
    let found
    while (found?.n === undefined && performance.now() < deadline) {
      found = await other.get('a').catch(({ name }) => name)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const { rev } = await other.put({ ...found, n: 2 })
    await mender.close()
    const last = await other.get('a')
    return { refused, found: found.n, last: last.n, isLast: last._rev === rev }
  })
  assert.deepEqual(outcome, { refused: ['storage_failed', 'storage_failed'], found: 1, last: 2, isLast: true })
})

test('a repair, or an end, that is asked for before it is known that the database does not open is not refused for that', async () => {
  const page = await withDamage(await profile.open())
  const outcome = await page.evaluate(async () => {
    for (const name of ['repaired-at-once', 'destroyed-at-once']) {
      const db = new Firkin(name)
      await db.put({ _id: 'a' })
      await db.close()
      await damage(name, 0, 0)
    }
    const repaired = new Firkin('repaired-at-once')
    const refused = repaired.get('a').then(
      () => 'found',
      ({ name }) => name,
    )
    const answers = [
      await repaired.repair().then(({ documents }) => documents),
      await refused,
      (await repaired.get('a'))._id,
    ]
    await repaired.put({ _id: 'b' })
    await repaired.close()
    const destroyed = new Firkin('destroyed-at-once')
    return [...answers, await destroyed.destroy(), (await Firkin.list()).includes('destroyed-at-once')]
  })
  assert.deepEqual(outcome, [1, 'storage_failed', 'a', { ok: true }, false])
})

test('a repair goes on for all tabs: what they ask meanwhile is answered after it, and live queries go on', async () => {
  const [leader, follower] = [await withDamage(await profile.open()), await profile.open()]
  await leader.evaluate(async () => {
    window.db = new Firkin('shared')
    await db.bulkDocs(documents(2000))
  })
  await follower.evaluate(async () => {
    window.db = new Firkin('shared')
    window.seen = []
    window.tasks = new Set()
    db.on('progress', ({ task }) => tasks.add(task))
    db.live({ selector: { n: { $gte: 1998 } } }).subscribe(({ docs }) => seen.push(docs.map(({ n }) => n)))
    await db.info()
  })
  await eventually(follower, () => seen.length > 0)
  const [repaired, written] = await Promise.all([
    leader.evaluate(() => db.repair()),
    follower.evaluate(async () => {
      const rows = await Promise.all(
        Array.from({ length: 20 }, (_, n) => db.put({ _id: `meanwhile ${n}`, n: 5000 + n })),
      )
      return rows.length
    }),
  ])
  assert.deepEqual([repaired.blocks, repaired.lost, written], [[], [], 20])
  await eventually(follower, () => seen.at(-1).length === 22)
  assert.ok(await follower.evaluate(() => tasks.has('repair')), 'progress reaches the other tab')
  const answers = await Promise.all(
    [leader, follower].map((page) => page.evaluate(async () => (await db.allDocs()).rows.length)),
  )
  assert.deepEqual(answers, [2020, 2020])
  await leader.close()
  const after = await follower.evaluate(async () => (await db.find({ selector: { n: 5001 } })).docs.length)
  assert.equal(after, 1)
})

test('where the module of repairs cannot be loaded, a database that is open stays so', async () => {
  const page = await profile.open()
  await page.route('**/firkin-rescue.wasm', (route) => route.abort())
  const outcome = await page.evaluate(async () => {
    const refusal = (promise) =>
      promise.then(
        () => 'done',
        ({ status, name }) => `${status} ${name}`,
      )
    const backup = await new Response(new Firkin('of-backup').export({ format: 'blocks' })).blob()
    const seen = []
    for (const storage of ['indexeddb', 'opfs']) {
      const db = new Firkin('unrepaired', { storage })
      const other = new Firkin('unrepaired', { storage })
      await db.put({ _id: 'a', n: 1 })
      seen.push([await refusal(db.repair()), (await db.get('a')).n, (await other.get('a')).n])
      const empty = new Firkin('unfilled', { storage })
      await empty.ready
      seen.push([await refusal(empty.import(backup)), (await empty.info()).doc_count])
    }
    return seen
  })
  const refused = '0 network_failed'
  assert.deepEqual(outcome, [
    [refused, 1, 1],
    [refused, 0],
    [refused, 1, 1],
    [refused, 0],
  ])
  await page.unroute('**/firkin-rescue.wasm')
  assert.equal(await page.evaluate(async () => (await new Firkin('unrepaired').repair()).ok), true)
})
