// Calls whose signal is aborted: the promise rejects at once, and the engine does no more of the work.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A page whose engine runs in it, so that what it reads from IndexedDB can be counted, and that keeps nothing in memory. */
async function openCold(name) {
  const page = await profile.open()
  await page.evaluate(async (name) => {
    const writing = new Firkin(name)
    const text = Array.from({ length: 40 }, () => crypto.randomUUID()).join(' ')
    for (let batch = 0; batch < 10; batch += 1) {
      await writing.bulkDocs(Array.from({ length: 400 }, (_, n) => ({ _id: `${batch}-${n}`, n, text: `${n} ${text}` })))
    }
    await writing.close()
    window.reads = 0
    const plain = IDBObjectStore.prototype.get
    IDBObjectStore.prototype.get = function (...asked) {
      window.reads += 1
      return plain.apply(this, asked)
    }
    window.db = new Firkin(name, { worker: false, cacheBytes: 0 })
    await db.ready
    window.pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  }, name)
  return page
}

test('a long read that is aborted rejects with an AbortError, and the engine reads no further', async (t) => {
  const page = await openCold('long reads')
  for (const long of ['allDocs', 'find']) {
    const { whole, stopped, later, error } = await page.evaluate(async (long) => {
      const read = (signal) =>
        long === 'find'
          ? db.find({ selector: { text: { $regex: 'nothing has this' } }, signal })
          : db.allDocs({ include_docs: true, signal })
      let before = window.reads
      await read()
      const whole = window.reads - before
      before = window.reads
      const controller = new AbortController()
      const aborted = read(controller.signal).catch((error) => error)
      while (window.reads < before + 10) await pause(1)
      controller.abort(new Error('enough'))
      const error = await aborted
      await pause(20)
      const stopped = window.reads - before
      await pause(300)
      const { name, code, cause } = error
      return {
        whole,
        stopped,
        later: window.reads - before,
        error: [error instanceof DOMException, name, code, cause.message],
      }
    }, long)
    t.diagnostic(`${long}: ${whole} reads of blocks; aborted after 10 it ended at ${stopped}`)
    assert.deepEqual(error, [true, 'AbortError', 'aborted', 'enough'])
    assert.equal(later, stopped, `${long} goes on`)
    assert.ok(stopped < whole / 2, `${long}: ${stopped} of ${whole} reads`)
  }
  assert.equal((await page.evaluate(() => db.get('3-7'))).n, 7)
  await page.close()
})

test('a write that is aborted is not done if it was not begun; else it is done whole', async () => {
  const page = await profile.open()
  const [waiting, begun, ids] = await page.evaluate(async () => {
    const abortSoon = async (write) => {
      const controller = new AbortController()
      const outcome = write(controller.signal).catch(({ name }) => name)
      await Promise.resolve()
      controller.abort()
      return outcome
    }
    // Nobody leads before the database is open.
    const db = new Firkin('writes')
    const waiting = await abortSoon((signal) => db.put({ _id: 'not begun' }, { signal }))
    await db.info()
    const docs = Array.from({ length: 50 }, (_, n) => ({ _id: `begun ${n}` }))
    const begun = await abortSoon((signal) => db.bulkDocs(docs, { signal }))
    await db.info()
    const { rows } = await db.allDocs()
    return [waiting, begun, rows.map(({ id }) => id)]
  })
  assert.deepEqual([waiting, begun], ['AbortError', 'AbortError'])
  assert.ok(!ids.includes('not begun'))
  assert.ok(ids.length === 0 || ids.length === 50, `${ids.length} documents`)
  await page.close()
})
