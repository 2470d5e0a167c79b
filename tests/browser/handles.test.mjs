// What the handles of replications promise: every event, numbers for a progress bar, iteration, and how each way of ending looks.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()
let folder
let server
let page

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-handles-'))
  page = await profile.open()
  await page.evaluate(() => {
    window.NAMES = ['change', 'paused', 'active', 'denied', 'complete', 'error', 'checkpoint']
    window.record = (handle) => {
      const told = Object.fromEntries(NAMES.map((name) => [name, []]))
      for (const name of NAMES) handle.on(name, (detail) => told[name].push(detail))
      return told
    }
  })
  server = await startFirkinServer({ data: folder, origin: profile.origin })
})
after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function newPeer(name) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  return url
}

test('a live sync tells changes, pauses, work, refusals, checkpoints and its end', async () => {
  const peer = await newPeer('events')
  await fetch(`${peer}/theirs`, { method: 'PUT', body: '{}' })
  await page.evaluate(async (peer) => {
    window.db = new Firkin('events', { documentBytesMax: 10 << 20 })
    await db.bulkDocs([{ _id: 'a' }, { _id: 'huge', s: 'x'.repeat(9 << 20) }])
    window.sync = db.sync(peer, { live: true, retry: true })
    window.told = record(sync)
    await sync.settled()
    await db.put({ _id: 'later' })
    await sync.settled()
  }, peer)
  await eventually(page, () => told.checkpoint.some(({ direction }) => direction === 'push'))
  await eventually(page, () => told.checkpoint.some(({ direction }) => direction === 'pull'))
  const { told, written, result } = await page.evaluate(async () => {
    sync.cancel()
    const result = await sync
    await db.destroy()
    return { told, written: sync.status.written, result }
  })
  const sum = (direction) =>
    told.change.filter((change) => change.direction === direction).reduce((sum, { documents }) => sum + documents, 0)
  assert.deepEqual([sum('push'), sum('pull'), written], [2, 1, 3])
  assert.deepEqual(
    told.denied.map(({ direction, id, error }) => [direction, id, error]),
    [['push', 'huge', 'too_large']],
  )
  assert.ok(told.paused.length >= 2 && told.active.length >= 1)
  assert.deepEqual(told.complete, [result])
  assert.deepEqual(told.error, [])
  assert.deepEqual([result.push.ok, result.pull.ok, result.push.doc_write_failures], [false, false, 1])
})

test('a sync that fails tells it by the event, the promise, the status and iteration alike', async () => {
  const seen = await page.evaluate(async (peer) => {
    const db = new Firkin('failing')
    const outcomes = []
    for (const begin of [
      (options) => db.sync(peer, options),
      (options) => db.replicate.to(peer, options),
      (options) => db.replicate.from(peer, options),
    ]) {
      const handle = begin({ live: true })
      const told = record(handle)
      const iterating = (async () => {
        for await (const _ of handle);
      })().catch(({ code }) => code)
      const promised = await handle.catch(({ code, status }) => [code, status])
      const settled = await handle.settled().catch(({ code }) => code)
      const { state, error } = handle.status
      outcomes.push([promised, told.error.map(({ code }) => code), await iterating, settled, state, error.code])
      if (told.complete.length > 0) outcomes.push('it completed as well')
    }
    await db.destroy()
    return outcomes
  }, `${server.url}/no-such-database`)
  const failed = [['not_found', 404], ['not_found'], 'not_found', 'not_found', 'error', 'not_found']
  assert.deepEqual(seen, [failed, failed, failed])
})

test('a sync is iterated batch by batch until it is cancelled, and leaving the loop does not end it', async () => {
  const peer = await newPeer('iterated')
  const seen = await page.evaluate(async (peer) => {
    const db = new Firkin('iterated')
    const sync = db.sync(peer, { live: true })
    await sync.settled()
    const first = []
    setTimeout(() => db.put({ _id: 'a' }))
    for await (const change of sync) {
      first.push([change.direction, change.documents])
      break
    }
    const { state } = sync.status
    const second = []
    const iterating = (async () => {
      for await (const { documents } of sync) second.push(documents)
    })()
    await db.put({ _id: 'b' })
    await sync.settled()
    sync.cancel()
    await iterating
    const { push } = await sync
    await db.destroy()
    return { first, second, going: state !== 'cancelled', written: push.docs_written }
  }, peer)
  assert.deepEqual(seen, { first: [['push', 1]], second: [1], going: true, written: 2 })
})

test('the status counts down what is pending, and up what has moved', async () => {
  const peer = await newPeer('counted')
  const seen = await page.evaluate(async (peer) => {
    const [one, other] = [new Firkin('counted'), new Firkin('counted there')]
    await one.bulkDocs(Array.from({ length: 5000 }, (_, n) => ({ _id: `d${n}`, n, text: 'x'.repeat(500) })))
    const follow = async (handle) => {
      const seen = []
      for await (const { docs_written } of handle)
        seen.push([handle.status.pending, docs_written, handle.status.bytesRead])
      const { pending, written, bytesRead, bytesWritten, lastSeq } = handle.status
      return { seen, end: [pending, written], moved: bytesRead + bytesWritten > 5000 * 500, last: typeof lastSeq }
    }
    const pushed = await follow(one.replicate.to(peer))
    // A snapshot brings them in one step.
    const pulled = await follow(other.replicate.from(peer, { snapshot: false }))
    await one.destroy()
    await other.destroy()
    return [pushed, pulled]
  }, peer)
  for (const { seen: steps, end, moved, last } of seen) {
    assert.ok(steps.length > 2)
    for (const [[pending, written], [later, more]] of steps.slice(1).map((step, place) => [steps[place], step])) {
      assert.ok(later <= pending && more > written, `${pending} ${later} ${written} ${more}`)
    }
    assert.deepEqual([end, moved, last], [[0, 5000], true, 'string'])
  }
})

test('a replication that is cancelled while it begins ends, with whatever peer, and nothing of it goes on', async () => {
  const url = await newPeer('begun')
  const seen = await page.evaluate(async (url) => {
    const [db, other] = [new Firkin('begun'), new Firkin('begun beside')]
    await Promise.all([db.ready, other.ready])
    const ends = []
    for (const peer of [url, other]) {
      for (let steps = 0; steps < 20; steps += 1) {
        const pull = db.replicate.from(peer, { live: true })
        for (let step = 0; step < steps; step += 1) await undefined
        pull.cancel()
        ends.push(pull.then(({ ok }) => ok))
      }
    }
    const oks = await Promise.all(ends)
    const { held } = await navigator.locks.query()
    await Promise.all([db.destroy(), other.destroy()])
    return {
      ended: oks.length,
      oks: oks.filter(Boolean),
      places: held.filter(({ name }) => name.startsWith('firkin:feed:')),
    }
  }, url)
  assert.deepEqual(seen, { ended: 40, oks: [], places: [] })
})
