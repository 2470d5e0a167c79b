// Live queries and watches, over the real engine in memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Firkin } from '../dist/index.js'
import { apply, compare } from '../dist/live.js'
import { open } from './open.mjs'

const soon = { timeout: 10_000 }
const byStars = { selector: { stars: { $gt: 0 } }, sort: [{ stars: 'desc' }] }
const ids = (docs) => docs.map(({ _id }) => _id)

async function withNotes(t, stars) {
  const db = open(t, 'live')
  await db.bulkDocs(Object.entries(stars).map(([_id, stars]) => ({ _id, stars })))
  return db
}

async function change(db, id, members) {
  await db.put({ ...(await db.get(id)), ...members })
}

test('the answer comes first, then every difference, with the list that it makes', soon, async (t) => {
  const db = await withNotes(t, { a: 1, b: 2, c: 0 })
  const updates = db.live(byStars)[Symbol.asyncIterator]()
  const { value: first } = await updates.next()
  assert.deepEqual(ids(first.docs), ['b', 'a'])
  assert.deepEqual(
    first.added.map(({ index, id, doc }) => [index, id, doc === first.docs[index]]),
    [
      [0, 'b', true],
      [1, 'a', true],
    ],
  )
  await change(db, 'c', { stars: 5 })
  const { value: second } = await updates.next()
  assert.deepEqual(ids(second.docs), ['c', 'b', 'a'])
  assert.deepEqual([second.added.length, second.changed, second.moved, second.removed], [1, [], [], []])
  await change(db, 'a', { stars: 3 })
  const { value: third } = await updates.next()
  assert.deepEqual(ids(third.docs), ['c', 'a', 'b'])
  assert.deepEqual(third.moved, [{ from: 2, to: 1, id: 'a', doc: third.docs[1] }])
  const [changed] = third.changed
  assert.deepEqual([changed.index, changed.id, changed.doc.stars, changed.before.stars], [1, 'a', 3, 1])
  await db.remove(await db.get('b'))
  const { value: fourth } = await updates.next()
  assert.deepEqual(fourth.removed, [{ index: 2, id: 'b', doc: first.docs[0] }])
  assert.deepEqual(fourth.docs, (await db.find(byStars)).docs)
})

test('what has not changed is the same object, and every list is a new array', soon, async (t) => {
  const db = await withNotes(t, { a: 1, b: 2, c: 3 })
  const updates = db.live(byStars)[Symbol.asyncIterator]()
  const { docs: before } = (await updates.next()).value
  await change(db, 'b', { stars: 7 })
  const { docs: after } = (await updates.next()).value
  assert.notEqual(after, before)
  assert.deepEqual(ids(after), ['b', 'c', 'a'])
  assert.equal(after[1], before[0])
  assert.equal(after[2], before[2])
  assert.notEqual(after[0], before[1])
})

test('a slow reader gets several commits as one difference', soon, async (t) => {
  const db = await withNotes(t, { a: 1 })
  const updates = db.live(byStars)[Symbol.asyncIterator]()
  await updates.next()
  for (let n = 0; n < 20; n += 1) await db.put({ _id: `n${n}`, stars: n + 2 })
  await db.remove(await db.get('a'))
  const { value } = await updates.next()
  assert.deepEqual([value.added.length, value.removed.length, value.docs.length], [20, 1, 20])
})

test('documents that are shown without their ids, and a window, stay right', soon, async (t) => {
  const db = await withNotes(t, Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`n${n}`, n + 1])))
  const query = { ...byStars, fields: ['stars'], skip: 1, limit: 3 }
  const updates = db.live(query)[Symbol.asyncIterator]()
  let { docs } = (await updates.next()).value
  assert.deepEqual(docs, [{ stars: 59 }, { stars: 58 }, { stars: 57 }])
  for (let n = 59; n > 20; n -= 1) {
    await db.remove(await db.get(`n${n}`))
    ;({ docs } = (await updates.next()).value)
    assert.deepEqual(docs, [{ stars: n - 1 }, { stars: n - 2 }, { stars: n - 3 }])
  }
})

test('every reader of one handle gets all, at its own pace', soon, async (t) => {
  const db = await withNotes(t, { a: 1 })
  const live = db.live(byStars)
  const [quick, slow] = [[], []]
  const end = live.subscribe(({ docs }) => quick.push(ids(docs).join()))
  let release
  live.subscribe(async ({ docs }) => {
    slow.push(ids(docs).join())
    await new Promise((resolve) => {
      release = resolve
    })
  })
  while (quick.length < 1 || slow.length < 1) await pause(1)
  for (const [n, id] of ['b', 'c'].entries()) {
    await db.put({ _id: id, stars: 9 })
    while (quick.length < n + 2) await pause(1)
  }
  release()
  while (slow.length < 2) await pause(1)
  assert.deepEqual(quick, ['a', 'b,a', 'c,b,a'])
  assert.deepEqual(slow, ['a', 'c,b,a'])
  end()
  release()
  await db.put({ _id: 'd', stars: 10 })
  while (slow.length < 3) await pause(1)
  assert.equal(quick.length, 3)
})

test('a loop that is left, a signal, cancel and the end of a block end it', soon, async (t) => {
  const db = await withNotes(t, { a: 1 })
  for await (const { docs } of db.live(byStars)) {
    assert.equal(docs.length, 1)
    break
  }
  const controller = new AbortController()
  const bySignal = db.live({ ...byStars, signal: controller.signal })
  const byCancel = db.live(byStars)
  const loops = [bySignal, byCancel].map(async (live) => {
    let count = 0
    for await (const _ of live) count += 1
    return count
  })
  await pause(20)
  controller.abort()
  byCancel.cancel()
  assert.deepEqual(await Promise.all(loops), [1, 1])
  for await (const _ of bySignal) assert.fail('it has ended')
  for await (const _ of db.live({ ...byStars, signal: AbortSignal.abort() })) assert.fail('it has ended')
  const disposed = db.live(byStars)
  disposed[Symbol.dispose]()
  assert.deepEqual(await disposed[Symbol.asyncIterator]().next(), { done: true, value: undefined })
})

test('an iterator that is returned while it waits ends at once', soon, async (t) => {
  const db = await withNotes(t, { a: 1 })
  const updates = db.live(byStars)[Symbol.asyncIterator]()
  await updates.next()
  const waiting = updates.next()
  await pause(5)
  assert.deepEqual(await updates.return(), { done: true, value: undefined })
  assert.deepEqual(await waiting, { done: true, value: undefined })
})

test('a database that closes ends what follows it, and closing does not wait for that', soon, async () => {
  const db = new Firkin('closing')
  const read = async (values) => {
    const all = []
    for await (const value of values) all.push(value)
    return all.length
  }
  const loops = [read(db.live(byStars)), read(db.watch('a')), read(db.watch('a', 'b'))]
  await db.info()
  await pause(20)
  await db.close()
  assert.deepEqual(await Promise.all(loops), [1, 1, 1])
})

test(
  'what is followed on a database that is closed or destroyed fails with 503, in loops and subscriptions',
  soon,
  async () => {
    for (const end of ['close', 'destroy']) {
      const db = new Firkin('ended')
      const early = [db.live(byStars), db.watch('a')]
      await db[end]()
      for (const followed of [...early, db.live(byStars), db.watch('a'), db.watch('a', 'b')]) {
        await assert.rejects(followed[Symbol.asyncIterator]().next(), { status: 503, name: 'closed' })
        const error = await new Promise((failed) => followed.subscribe(assert.fail, failed))
        assert.deepEqual([error.status, error.name], [503, 'closed'])
      }
    }
  },
)

test('a loop in whose body the database is closed ends, and one under which it is destroyed fails', soon, async () => {
  const db = new Firkin('closing')
  for await (const _ of db.live(byStars)) await db.close()
  const doomed = new Firkin('doomed')
  const failures = []
  const loop = async (values) => {
    for await (const _ of values) failures.push('begun')
  }
  const loops = [doomed.live(byStars), doomed.watch('a')].map((values) => loop(values))
  const failed = new Promise((failed) => doomed.live(byStars).subscribe(() => failures.push('begun'), failed))
  while (failures.length < 3) await pause(1)
  await doomed.destroy()
  for (const rejected of [...loops, failed.then((error) => Promise.reject(error))]) {
    await assert.rejects(rejected, { status: 503, name: 'closed', reason: /destroyed/ })
  }
})

test('a query that is none fails where it is read', soon, async (t) => {
  const db = open(t, 'bad')
  const failure = async (query) => {
    for await (const _ of db.live(query)) assert.fail('it was answered')
  }
  await assert.rejects(failure({ selector: { a: { $no: 1 } } }), { status: 400, name: 'invalid_operator' })
  await assert.rejects(failure(undefined), { status: 400, name: 'missing_required_key' })
  await assert.rejects(failure({ selector: {}, bookmark: '["a"]' }), { status: 400, name: 'query_parse_error' })
  const error = await new Promise((failed) => db.live({ selector: 3 }).subscribe(assert.fail, failed))
  assert.equal(error.status, 400)
  assert.throws(() => db.live({ selector: {} }).subscribe(), { status: 400 })
  await assert.rejects(db.watch('_local/x')[Symbol.asyncIterator]().next(), { status: 400 })
})

test('a watch tells the value at a path, and nothing while that stays the same', soon, async (t) => {
  const db = open(t, 'watch')
  const values = db.watch('a', 'place.city')[Symbol.asyncIterator]()
  assert.deepEqual(await values.next(), { done: false, value: undefined })
  await db.put({ _id: 'a', place: { city: 'Lisbon' } })
  assert.equal((await values.next()).value, 'Lisbon')
  await change(db, 'a', { other: 1 })
  await change(db, 'a', { place: { city: ['Porto'] } })
  assert.deepEqual((await values.next()).value, ['Porto'])
  await db.remove(await db.get('a'))
  assert.deepEqual(await values.next(), { done: false, value: undefined })
})

test('a watch without a path tells the document as get does', soon, async (t) => {
  const db = await withNotes(t, { a: 1 })
  const values = db.watch('a')[Symbol.asyncIterator]()
  assert.deepEqual((await values.next()).value, await db.get('a'))
  await change(db, 'a', { stars: null })
  assert.deepEqual((await values.next()).value, await db.get('a'))
})

test('the difference of two lists makes the one of the other', () => {
  let state = 1
  const below = (bound) => {
    state = (state * 48271) % 2147483647
    return state % bound
  }
  const list = () => {
    const entries = Array.from({ length: below(8) }, () => String(below(9))).map((id) => ({ id, doc: { n: below(3) } }))
    return [...new Map(entries.map((entry) => [entry.id, entry])).values()]
  }
  for (let round = 0; round < 3000; round += 1) {
    const [before, after] = [list(), list()]
    const difference = compare(before, after)
    const made = apply(before, difference)
    assert.deepEqual(made, after)
    for (const entry of before) {
      const now = made.find(({ id }) => id === entry.id)
      if (now?.doc.n === entry.doc.n) assert.equal(now.doc, entry.doc)
    }
  }
})
