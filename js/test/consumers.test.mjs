// Consumers of the changes feed, over the real engine in memory: what counts as handled, and what comes again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from './open.mjs'

const idOf = (n) => `d${String(n).padStart(4, '0')}`

async function withDocuments(t, count) {
  const db = open(t, 'consumed')
  await db.bulkDocs(Array.from({ length: count }, (_, n) => ({ _id: idOf(n), n })))
  return db
}

/** Reads until `enough` holds of the ids read, then leaves the loop. */
async function read(feed, enough = () => false) {
  const ids = []
  for await (const { id } of feed) {
    ids.push(id)
    if (enough(ids)) break
  }
  return ids
}

const five = [0, 1, 2, 3, 4].map(idOf)

test('a consumer goes on after the last change that its reader was done with', async (t) => {
  const db = await withDocuments(t, 5)
  const consume = (enough) => read(db.changes({ consumer: 'mail', batch_size: 2 }), enough)
  assert.deepEqual(await consume(({ length }) => length === 3), five.slice(0, 3))
  // The reader left with the third in its hands.
  assert.deepEqual(await consume(), five.slice(2))
  assert.deepEqual(await consume(), [])
  await db.put({ _id: 'later' })
  assert.deepEqual(await consume(), ['later'])
  assert.deepEqual(await db.consumers(), [{ name: 'mail', seq: (await db.info()).update_seq }])
})

test('a reader that throws has not handled the change that it was given', async (t) => {
  const db = await withDocuments(t, 3)
  const failing = async () => {
    for await (const { id } of db.changes({ consumer: 'mail' })) if (id === idOf(1)) throw new Error('out of stamps')
  }
  await assert.rejects(failing, { message: 'out of stamps' })
  assert.deepEqual(await read(db.changes({ consumer: 'mail' })), [idOf(1), idOf(2)])
})

test('since counts for a new consumer only, and now is when its first feed was made', async (t) => {
  const db = await withDocuments(t, 2)
  const feed = db.changes({ consumer: 'new', since: 'now' })
  await db.put({ _id: 'after' })
  assert.deepEqual(await read(feed, () => true), ['after'])
  assert.deepEqual(await read(db.changes({ consumer: 'new', since: 'now' })), ['after'])
  assert.deepEqual(await read(db.changes({ consumer: 'new', since: 0 })), [])
  assert.deepEqual(await read(db.changes({ consumer: 'other' })), [idOf(0), idOf(1), 'after'])
})

test('a listener is given the next change once what it returned for the last is fulfilled', async (t) => {
  const db = await withDocuments(t, 5)
  const events = []
  const feed = db.changes({ consumer: 'mail', batch_size: 2 })
  feed.on('change', async ({ id }) => {
    events.push(`begin ${id}`)
    await pause(2)
    events.push(`end ${id}`)
  })
  const completed = await new Promise((resolve) => feed.on('complete', resolve))
  assert.deepEqual(
    events,
    five.flatMap((id) => [`begin ${id}`, `end ${id}`]),
  )
  assert.deepEqual(completed, { results: [], last_seq: (await db.info()).update_seq })
  assert.deepEqual(await read(db.changes({ consumer: 'mail' })), [])
})

test('a listener that fails ends the feed, and is given the same change by the next', async (t) => {
  const db = await withDocuments(t, 3)
  const failures = [() => Promise.reject(new Error('rejected')), () => assert.fail('thrown')]
  for (const fail of failures) {
    const given = []
    const feed = db.changes({ consumer: 'mail' }).on('change', ({ id }) => {
      given.push(id)
      return id === idOf(1) ? fail() : undefined
    })
    const error = await new Promise((resolve) => feed.on('error', resolve))
    assert.match(error.message, /rejected|thrown/)
    assert.equal(given.at(-1), idOf(1))
  }
  assert.deepEqual(await read(db.changes({ consumer: 'mail' })), [idOf(1), idOf(2)])
})

test('without a listener for changes nothing is handled', async (t) => {
  const db = await withDocuments(t, 3)
  db.changes({ consumer: 'mail' }).on('complete', () => assert.fail('nobody was told'))
  const feed = db.changes({ consumer: 'mail' })
  const only = ({ id }) => {
    assert.equal(id, idOf(0))
    feed.off('change', only)
  }
  feed.on('change', only)
  await new Promise((resolve) => feed.on('complete', resolve))
  assert.deepEqual(await read(db.changes({ consumer: 'mail' })), [idOf(1), idOf(2)])
})

test('a consumer has one reader at a time, and another is refused with 409', async (t) => {
  const db = await withDocuments(t, 2)
  for await (const { id } of db.changes({ consumer: 'mail' })) {
    await assert.rejects(read(db.changes({ consumer: 'mail', live: true })), { status: 409, name: 'conflict' })
    assert.deepEqual(await read(db.changes({ consumer: 'other' })), id === idOf(0) ? [idOf(0), idOf(1)] : [])
  }
  assert.deepEqual(await read(db.changes({ consumer: 'mail' })), [])
})

test('changes that a selector leaves out are passed, those beyond a limit are not', async (t) => {
  const db = await withDocuments(t, 9)
  const consume = (query) => read(db.changes({ consumer: 'mail', batch_size: 2, ...query }))
  assert.deepEqual(await consume({ limit: 3 }), [0, 1, 2].map(idOf))
  assert.deepEqual(await consume({ selector: { n: 4 } }), [idOf(4)])
  assert.deepEqual(await consume({}), [])
})

test('a live consumer handles what comes, and goes on after a cancel', { timeout: 5000 }, async (t) => {
  const db = await withDocuments(t, 2)
  const feed = db.changes({ consumer: 'mail', live: true })
  const seen = []
  for await (const { id } of feed) {
    seen.push(id)
    if (id === idOf(1)) await db.put({ _id: 'later' })
    // What was begun is done, unlike where the loop is left.
    if (id === 'later') feed.cancel()
  }
  assert.deepEqual(seen, [idOf(0), idOf(1), 'later'])
  await db.put({ _id: 'latest' })
  assert.deepEqual(await read(db.changes({ consumer: 'mail' })), ['latest'])
})

test('an idle reader has its place saved, and a busy one a place not far behind', { timeout: 10_000 }, async (t) => {
  const db = await withDocuments(t, 450)
  const behind = async (n) => {
    const [{ seq }] = await db.consumers()
    return n - Number.parseInt(seq, 10)
  }
  const lags = []
  let handled = 0
  for await (const _ of db.changes({ consumer: 'mail', live: true })) {
    lags.push(await behind(handled))
    handled += 1
    if (handled === 450) {
      setTimeout(() => void db.put({ _id: 'end' }), 600)
    } else if (handled === 451) {
      // 450 were handled some time ago, and the reader had nothing to do.
      assert.equal(await behind(450), 0)
      break
    }
  }
  assert.ok(Math.max(...lags) <= 100 && Math.max(...lags) > 1, `up to ${Math.max(...lags)} behind`)
})

test('a consumer that is removed begins anew; the reader it had is told', async (t) => {
  const db = await withDocuments(t, 4)
  const reading = async () => {
    for await (const { id } of db.changes({ consumer: 'mail' })) {
      if (id === idOf(0)) await db.removeConsumer('mail')
      // Time enough for the place to be saved, if it could be.
      if (id === idOf(1)) await pause(400)
    }
  }
  await assert.rejects(reading, { status: 404, name: 'not_found' })
  await assert.rejects(db.removeConsumer('mail'), { status: 404, name: 'not_found' })
  assert.deepEqual(await db.consumers(), [])
  assert.equal((await read(db.changes({ consumer: 'mail' }))).length, 4)
})

test('what no consumer can do is refused', async (t) => {
  const db = await withDocuments(t, 1)
  const refused = { status: 400, name: 'bad_request' }
  await assert.rejects(db.changes({ consumer: 'mail' }), refused, 'awaited, nothing says what is handled')
  for (const query of [
    { consumer: '' },
    { consumer: 'x'.repeat(257) },
    { consumer: 7 },
    { consumer: 'mail', descending: true },
    { consumer: 'other', since: 'nonsense' },
  ]) {
    await assert.rejects(read(db.changes(query)), refused, JSON.stringify(query))
  }
})
