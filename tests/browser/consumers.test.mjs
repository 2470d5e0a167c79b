// Consumers of the changes feed outlive their tab, the tab that leads and the browser, and nothing is left out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

/** As the library has it: so many changes at most come again. */
const UNSAVED_MAX = 100

const profile = useProfile()

/** A page with the database open, and with `consume`, which reads it and keeps the ids that were handled. */
async function openReader(name) {
  const page = await profile.open()
  await page.evaluate((name) => {
    window.db = new Firkin(name)
    window.handled = []
    window.consume = async (query, handle = () => {}) => {
      for await (const { id } of db.changes({ consumer: 'mail', ...query })) {
        await handle(id)
        handled.push(id)
      }
    }
    return db.ready
  }, name)
  return page
}

const count = (page) => page.evaluate(() => handled.length)
const idOf = (n) => `d${String(n).padStart(5, '0')}`
const fill = (page, from, to) =>
  page.evaluate(
    ([from, to]) => {
      const doc = (_, n) => ({ _id: `d${String(from + n).padStart(5, '0')}` })
      return db.bulkDocs(Array.from({ length: to - from }, doc)).then(() => {})
    },
    [from, to],
  )

test('after the browser was killed a consumer goes on: nothing is skipped, in order, and little comes twice', async () => {
  const runs = []
  for (let run = 0; run < 3; run += 1) {
    const page = await openReader('killed')
    await fill(page, 400 * run, 400 * (run + 1))
    const delivered = []
    await page.exposeFunction('deliver', (id) => delivered.push(id))
    const last = run === 2
    page
      .evaluate(async (live) => {
        for await (const { id } of db.changes({ consumer: 'mail', live, batch_size: 30 })) await deliver(id)
        await deliver('end')
      }, !last)
      .catch(() => {})
    // Killed while it works on what it was given, at another place each time.
    while (last ? delivered.at(-1) !== 'end' : delivered.length < 250 + 37 * run) await pause(1)
    if (!last) await profile.killAndStart()
    runs.push(last ? delivered.slice(0, -1) : delivered)
  }
  for (const [run, ids] of runs.entries()) {
    assert.deepEqual(ids, [...ids].sort(), `run ${run} is in order`)
    assert.equal(new Set(ids).size, ids.length)
    if (run === 0) continue
    const before = runs[run - 1]
    const again = before.length - before.indexOf(ids[0])
    // The last one was handed out, and may not have been handled.
    assert.ok(before.includes(ids[0]) || ids[0] === idOf(Number(before.at(-1).slice(1)) + 1), `${ids[0]} skips some`)
    assert.ok(!before.includes(ids[0]) || again <= UNSAVED_MAX + 1, `${again} came again`)
  }
  const all = new Set(runs.flat())
  assert.deepEqual(
    [...all].sort(),
    Array.from({ length: 1200 }, (_, n) => idOf(n)),
  )
})

test('a consumer is read in one tab at a time; another tab goes on when that one ends', async () => {
  const [first, second] = [await openReader('tabs'), await openReader('tabs')]
  await fill(first, 0, 20)
  await first.evaluate(() => {
    // Stops with the eleventh in its hands.
    consume({ live: true }, (id) => (id === 'd00010' ? new Promise(() => {}) : undefined))
  })
  await eventually(first, () => handled.length === 10)
  const refusal = await second.evaluate(() => consume({}).catch(({ status, name, reason }) => [status, name, reason]))
  assert.deepEqual(refusal, [409, 'conflict', 'the consumer "mail" has another reader'])
  // The tab that led, and read, goes: the next one leads, and takes the consumer over.
  await first.close()
  await second.evaluate(() => consume({}))
  const ids = await second.evaluate(() => handled)
  assert.ok(ids.includes('d00010'), 'the change that was not handled is handed out again')
  assert.equal(ids.at(-1), idOf(19))
  await second.close()
})

test('a reader goes on while the lead passes to its tab, and what was saved then is there after a reload', async () => {
  const [leader, reader] = [await openReader('passed on'), await openReader('passed on')]
  await fill(leader, 0, 200)
  await reader.evaluate(() => {
    window.reading = consume({ live: true, batch_size: 7 }, () => new Promise((resolve) => setTimeout(resolve, 2)))
  })
  await eventually(reader, () => handled.length > 50)
  await leader.close()
  await eventually(reader, () => handled.length === 200)
  await fill(reader, 200, 230)
  await eventually(reader, () => handled.length === 230)
  assert.deepEqual(
    await reader.evaluate(() => handled),
    Array.from({ length: 230 }, (_, n) => idOf(n)),
  )
  // Idle, its place is saved by itself.
  await eventually(reader, async () => (await db.consumers())[0].seq === (await db.info()).update_seq)
  await reader.close()
  const again = await openReader('passed on')
  await again.evaluate(() => consume({}))
  assert.equal(await count(again), 0)
  await again.close()
})

test('a slow reader holds one page of the feed, however much there is', async () => {
  const page = await openReader('slow')
  await fill(page, 0, 1000)
  const asked = await page.evaluate(async () => {
    const { postMessage } = Worker.prototype
    let reads = 0
    Worker.prototype.postMessage = function (message, ...rest) {
      if (message.method === 'changes') reads += 1
      return postMessage.call(this, message, ...rest)
    }
    const counts = []
    // While it works on its first change, many more are written.
    const slow = async (id) => {
      if (id !== 'd00000') return
      for (let n = 0; n < 20; n += 1) await db.put({ _id: `later${n}` })
      await new Promise((resolve) => setTimeout(resolve, 200))
      counts.push(reads)
    }
    await consume({ batch_size: 100, include_docs: true }, slow)
    Worker.prototype.postMessage = postMessage
    return [...counts, reads]
  })
  assert.deepEqual([asked[0], await count(page)], [1, 1020])
  assert.ok(asked[1] >= 11, `${asked[1]} pages`)
  await page.close()
})
