// Transactions on the real engine, in memory and in this process.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from './open.mjs'

/** Adds one to the counter. */
const increment = async (tx) => {
  const counter = await tx.get('counter')
  await tx.put({ ...counter, n: counter.n + 1 })
}

test('a transaction answers what its body does, and all that it wrote is there', async (t) => {
  const db = open(t, 'answers')
  await db.put({ _id: 'gone', n: 0 })
  const answer = await db.transaction(async (tx) => {
    const { rev } = await tx.put({ _id: 'a', n: 1 })
    await tx.put({ _id: 'b', n: 2 }, { author: 'Alice', message: 'why' })
    await tx.patch('a', [{ op: 'add', path: '/tags', value: ['x'] }])
    await tx.remove(await tx.get('gone'))
    return { rev, own: await tx.get('a'), n: await tx.get('b', { path: 'n' }) }
  })
  assert.match(answer.rev, /^1-/)
  assert.deepEqual([answer.own.tags, answer.n], [['x'], 2])
  assert.deepEqual(await db.get('a'), answer.own)
  assert.deepEqual([(await db.get('b')).firkin.author, (await db.get('b')).firkin.message], ['Alice', 'why'])
  await assert.rejects(db.get('gone'), { status: 404, reason: 'deleted' })
  const history = await db.get('a', { revs: true })
  assert.equal(history._revisions.start, 2)
  assert.equal(await db.transaction(() => 7), 7)
})

test('nobody sees what a transaction has written before it ends, but the transaction does', async (t) => {
  const db = open(t, 'hidden')
  await db.bulkDocs([1, 2, 3].map((n) => ({ _id: `d${n}`, n })))
  const query = { selector: { n: { $gt: 0 } }, sort: [{ n: 'desc' }], limit: 2, fields: ['_id'] }
  await db.transaction(async (tx) => {
    await tx.put({ _id: 'new', n: 9 })
    await tx.remove('d3', (await tx.get('d3'))._rev)
    assert.deepEqual((await tx.find(query)).docs, [{ _id: 'new' }, { _id: 'd2' }])
    assert.deepEqual((await db.find(query)).docs, [{ _id: 'd3' }, { _id: 'd2' }])
    await assert.rejects(tx.get('d3'), { status: 404, reason: 'deleted' })
  })
  assert.deepEqual((await db.find(query)).docs, [{ _id: 'new' }, { _id: 'd2' }])
})

test('a body that throws writes nothing, and its error is what the promise rejects with', async (t) => {
  const db = open(t, 'throws')
  const error = new TypeError('no')
  const throwing = async (tx) => {
    await tx.put({ _id: 'a' })
    throw error
  }
  await assert.rejects(db.transaction(throwing), (rejected) => rejected === error)
  const thrown = await db.transaction(() => Promise.reject(undefined)).catch((reason) => [reason])
  assert.deepEqual(thrown, [undefined])
  assert.equal((await db.info()).doc_count, 0)
})

test('a write that is refused ends the transaction, even if the body catches or never awaits it', async (t) => {
  const db = open(t, 'refused')
  await db.put({ _id: 'a', n: 1 })
  const refused = { status: 409, name: 'conflict', ids: ['a'] }
  const bodies = [
    (tx) => tx.put({ _id: 'a', n: 2 }),
    (tx) => tx.put({ _id: 'a', n: 2 }).catch(() => {}),
    (tx) => void tx.put({ _id: 'a', n: 2 }),
    (tx) => tx.patch('a', [{ op: 'test', path: '/n', value: 2 }]).catch(() => {}),
    (tx) => tx.remove('a', '1-00000000000000000000000000000000').catch(() => {}),
  ]
  for (const body of bodies) {
    let runs = 0
    const running = db.transaction(async (tx) => {
      runs += 1
      await tx.put({ _id: 'b' })
      await body(tx)
    })
    await assert.rejects(running, refused)
    assert.equal(runs, 1)
  }
  const others = [
    [(tx) => tx.put({ _id: '_x' }), { status: 400, name: 'illegal_docid' }],
    [(tx) => tx.put({ _id: '_local/x' }), { status: 400, name: 'illegal_docid' }],
    [(tx) => tx.put({}), { status: 412, name: 'missing_id' }],
    [(tx) => tx.put({ _id: 'f', f: () => {} }), { status: 400, name: 'bad_request' }],
    [(tx) => tx.put(undefined), { status: 400, name: 'bad_request' }],
    [(tx) => tx.patch('a', [{ op: 'add', path: '/_id', value: 'b' }]), { status: 400, name: 'doc_validation' }],
    [(tx) => tx.patch('a', 'n'), { status: 400, name: 'bad_request' }],
    [(tx) => tx.patch('never', []), { status: 404, name: 'not_found' }],
    [(tx) => tx.remove('never', '1-a'), { status: 404, name: 'not_found' }],
  ]
  for (const [body, error] of others) await assert.rejects(db.transaction(body), error)
  assert.deepEqual([(await db.get('a')).n, (await db.info()).doc_count], [1, 1])
})

test('a read that fails is the body’s to judge', async (t) => {
  const db = open(t, 'judge')
  await db.transaction(async (tx) => {
    const known = await tx.get('a').catch(({ status }) => status)
    await assert.rejects(tx.find({ selector: { a: { $no: 1 } } }), { status: 400, name: 'invalid_operator' })
    await assert.rejects(tx.find(), { status: 400 })
    await assert.rejects(tx.get(7), { status: 400, name: 'bad_request' })
    await tx.put({ _id: 'a', known })
  })
  assert.equal((await db.get('a')).known, 404)
})

test('what the body did not wait for is part of the transaction', async (t) => {
  const db = open(t, 'unawaited')
  await db.transaction((tx) => {
    for (let n = 0; n < 20; n += 1) void tx.put({ _id: `d${n}`, n })
  })
  assert.equal((await db.info()).doc_count, 20)
})

test('increments side by side all count', async (t) => {
  const db = open(t, 'counter')
  await db.put({ _id: 'counter', n: 0 })
  await Promise.all(Array.from({ length: 25 }, () => db.transaction(increment)))
  assert.equal((await db.get('counter')).n, 25)
})

test('a body is run again when what it read was changed, a range of a query too', async (t) => {
  const db = open(t, 'again')
  const seen = []
  await db.transaction(async (tx) => {
    const { docs } = await tx.find({ selector: { room: 7 } })
    seen.push(docs.length)
    if (seen.length === 1) await db.put({ _id: 'beside', room: 7 })
    await tx.put({ _id: 'booking', room: 8, number: docs.length })
  })
  assert.deepEqual([seen, (await db.get('booking')).number], [[0, 1], 1])
})

test('after as many runs as were asked for it rejects with a 409 that names the documents', async (t) => {
  const db = open(t, 'in vain')
  await db.put({ _id: 'counter', n: 0 })
  for (const [options, runs] of [
    [{ retries: 0 }, 1],
    [{ retries: 2 }, 3],
    [{}, 11],
  ]) {
    let ran = 0
    const running = db.transaction(async (tx) => {
      ran += 1
      await increment(tx)
      await tx.put({ _id: 'never' })
      // A write beside all transactions waits for none of them.
      await db.put({ ...(await db.get('counter')), n: -1 })
    }, options)
    await assert.rejects(running, (error) => {
      assert.deepEqual([error.status, error.name, error.ids], [409, 'conflict', ['counter']])
      assert.match(error.reason, /: counter$/)
      // Who writes like this body need not look for somebody else.
      assert.match(error.reason, /by others, or by calls of db inside the body/)
      return true
    })
    assert.equal(ran, runs)
  }
  await assert.rejects(db.get('never'), { status: 404 })
})

test('one that only reads is run once, whatever changes meanwhile, and sees one moment', async (t) => {
  const db = open(t, 'readers')
  await db.bulkDocs([
    { _id: 'a', n: 1 },
    { _id: 'b', n: 1 },
  ])
  let runs = 0
  const sum = await db.transaction(async (tx) => {
    runs += 1
    const { n } = await tx.get('a')
    await db.put({ ...(await db.get('b')), n: 2 })
    return n + (await tx.get('b')).n
  })
  assert.deepEqual([sum, runs], [2, 1])
})

test('it is of no use after its end', async (t) => {
  const db = open(t, 'ended')
  let kept
  await db.transaction((tx) => {
    kept = tx
  })
  const ended = { status: 503, name: 'closed', reason: /ended/ }
  for (const use of [
    () => kept.get('a'),
    () => kept.find({ selector: {} }),
    () => kept.put({ _id: 'a' }),
    () => kept.remove('a', '1-a'),
    () => kept.patch('a', []),
  ]) {
    await assert.rejects(use, ended)
  }
  await assert.rejects(
    db.transaction(async (tx) => {
      kept = tx
      throw new Error('no')
    }),
  )
  await assert.rejects(kept.put({ _id: 'a' }), ended)
  assert.equal((await db.info()).doc_count, 0)
})

test('a signal ends it: nothing is written, and the body can do no more', async (t) => {
  const db = open(t, 'signal')
  const aborting = new AbortController()
  let late
  const running = db.transaction(
    async (tx) => {
      await tx.put({ _id: 'a' })
      aborting.abort('enough')
      late = tx.put({ _id: 'b' }).catch(({ name }) => name)
      await new Promise(() => {})
    },
    { signal: aborting.signal },
  )
  await assert.rejects(running, { name: 'AbortError', code: 'aborted', cause: 'enough' })
  assert.equal(await late, 'AbortError')
  await assert.rejects(
    db.transaction(() => 1, { signal: AbortSignal.abort() }),
    { name: 'AbortError' },
  )
  assert.equal(await db.transaction(() => 1, { signal: new AbortController().signal }), 1)
  assert.equal((await db.info()).doc_count, 0)
})

test('a body that never ends holds up no other for longer than its turn', async (t) => {
  const db = open(t, 'stuck')
  await db.put({ _id: 'counter', n: 0 })
  const aborting = new AbortController()
  let runs = 0
  const stuck = db.transaction(
    async (tx) => {
      runs += 1
      await increment(tx)
      if (runs === 1) await db.transaction(increment)
      else await new Promise(() => {})
    },
    { signal: aborting.signal },
  )
  stuck.catch(() => {})
  while (runs < 2) await pause(1)
  const start = performance.now()
  await db.transaction(increment)
  assert.ok(performance.now() - start < 10_000)
  aborting.abort()
  await assert.rejects(stuck, { name: 'AbortError' })
  assert.equal((await db.get('counter')).n, 2)
})

test('one that was left alone for a minute is over, and run again when it goes on', async (t) => {
  const db = open(t, 'idle')
  const { now } = Date
  t.after(() => {
    Date.now = now
  })
  for (const [idle_ms, runs] of [
    [59_000, 1],
    [61_000, 2],
  ]) {
    let ran = 0
    await db.transaction(async (tx) => {
      ran += 1
      await tx.put({ _id: `${idle_ms}`, ran })
      if (ran > 1) return
      Date.now = () => now() + idle_ms
      await db.post({})
      // The engine looks after it has told of the change.
      await db.info()
      await tx.get(`${idle_ms}`)
    })
    assert.deepEqual([ran, (await db.get(`${idle_ms}`)).ran], [runs, runs])
    Date.now = now
  }
  const running = db.transaction(
    async (tx) => {
      await tx.get('a').catch(() => {})
      Date.now = () => now() + 61_000
      await db.post({})
      await db.info()
      await tx.put({ _id: 'a' })
    },
    { retries: 0 },
  )
  await assert.rejects(running, { status: 503, name: 'closed', reason: /nothing of it was written/ })
})

test('a body within a body is a transaction of its own, and ends', async (t) => {
  const db = open(t, 'nested')
  await db.put({ _id: 'counter', n: 0 })
  let runs = 0
  await db.transaction(async (tx) => {
    runs += 1
    await increment(tx)
    if (runs < 3) await db.transaction(increment)
  })
  assert.equal((await db.get('counter')).n, 3)
})

test('what is no transaction is refused', async (t) => {
  const db = open(t, 'none')
  const bad = { status: 400, name: 'bad_request' }
  await assert.rejects(db.transaction(), bad)
  await assert.rejects(db.transaction({}), bad)
  for (const retries of [-1, 1.5, '3', Number.NaN]) {
    await assert.rejects(
      db.transaction(() => {}, { retries }),
      bad,
    )
  }
  await assert.rejects(
    db.transaction((tx) => tx.put({ _id: 'a' }), { durability: 'lax' }),
    bad,
  )
  await db.transaction((tx) => tx.put({ _id: 'a' }), { durability: 'strict' })
  assert.equal((await db.info()).doc_count, 1)
})

test('the patch of RFC 6902 is the patch of a document', async (t) => {
  const db = open(t, 'patched')
  await db.put({ _id: 'a', tags: ['x', 'y'], place: { city: 'Ghent' }, 'a/b': 1 })
  await db.transaction((tx) =>
    tx.patch('a', [
      { op: 'test', path: '/place/city', value: 'Ghent' },
      { op: 'replace', path: '/place/city', value: 'Bruges' },
      { op: 'add', path: '/tags/-', value: 'z' },
      { op: 'remove', path: '/tags/0' },
      { op: 'move', from: '/a~1b', path: '/moved' },
      { op: 'copy', from: '/tags', path: '/copied' },
    ]),
  )
  const { _id, _rev, ...own } = await db.get('a')
  assert.deepEqual(own, { tags: ['y', 'z'], place: { city: 'Bruges' }, moved: 1, copied: ['y', 'z'] })
})
