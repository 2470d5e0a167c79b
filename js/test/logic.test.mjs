// Logic beside the data, over the real engine in memory: what a module is shown, and what comes of what it says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from './open.mjs'

/** A database with these rules, and the arguments of their calls. */
function withRules(t, rules) {
  const calls = []
  const told =
    (name) =>
    (...parameters) => {
      calls.push([name, ...structuredClone(parameters)])
      return rules[name](...parameters)
    }
  const module = Object.fromEntries(Object.keys(rules).map((name) => [name, told(name)]))
  return { db: open(t, 'ruled', { logic: module }), calls }
}

const refusal = (work) => work.then(assert.fail, ({ status, name, reason }) => [status, name, reason])

test('validate sees the new document, the old one and how it came', async (t) => {
  const { db, calls } = withRules(t, { validate() {} })
  const { rev } = await db.put({ _id: 'a', n: 1 }, { author: 'Alice' })
  const first = await db.get('a')
  const { time } = first.firkin
  await db.put({ _id: 'a', _rev: rev, n: 2 })
  await db.bulkDocs([{ _id: 'b', _rev: '1-x' }], { new_edits: false })
  await db.remove('b', '1-x')
  const local = { database: 'ruled', replicated: false }
  const { _rev, ...written } = first
  assert.deepEqual(calls, [
    ['validate', written, null, { ...local, author: 'Alice', time }],
    ['validate', { _id: 'a', _rev: rev, n: 2 }, first, local],
    ['validate', { _id: 'b', _rev: '1-x' }, null, { ...local, replicated: true }],
    ['validate', { _id: 'b', _rev: '1-x', _deleted: true }, { _id: 'b', _rev: '1-x' }, local],
  ])
})

test('whatever validate throws refuses the document', async (t) => {
  const cyclic = {}
  cyclic.cyclic = cyclic
  const thrown = {
    forbidden: [{ forbidden: 'no' }, [403, 'forbidden', 'no']],
    unauthorized: [{ unauthorized: 'who are you' }, [401, 'unauthorized', 'who are you']],
    error: [new TypeError('n is no number'), [403, 'forbidden', 'n is no number']],
    text: ['no', [403, 'forbidden', 'no']],
    empty: [undefined, [403, 'forbidden', 'undefined']],
    object: [{ forbidden: { why: 'because' } }, [403, 'forbidden', '{"why":"because"}']],
    odd: [Object.assign(Object.create(null), { cyclic }), [403, 'forbidden', 'for a reason that cannot be told']],
  }
  const { db } = withRules(t, {
    validate({ _id }) {
      if (_id in thrown) throw thrown[_id][0]
    },
  })
  for (const [_id, [, expected]] of Object.entries(thrown)) assert.deepEqual(await refusal(db.put({ _id })), expected)
  const rows = await db.bulkDocs([{ _id: 'fine' }, { _id: 'forbidden' }])
  assert.deepEqual(rows[1], { id: 'forbidden', error: 'forbidden', status: 403, reason: 'no' })
  assert.deepEqual(
    (await db.allDocs()).rows.map(({ id }) => id),
    ['fine'],
  )
  // A promise is as good.
  const { db: slow } = withRules(t, { validate: () => Promise.reject(new Error('after some thought')) })
  assert.deepEqual(await refusal(slow.put({ _id: 'a' })), [403, 'forbidden', 'after some thought'])
})

test('onWrite gives new edits their shape, and validate sees what will be stored', async (t) => {
  const { db, calls } = withRules(t, {
    onWrite(doc, old, { author }) {
      // What is done to the old document is seen by nobody.
      if (old !== null) old.n = 'spoilt'
      if (doc.kept) doc.n = 'not returned'
      else return { ...doc, on: new Date(0), left: undefined, by: author ?? 'nobody', edits: (old?.edits ?? 0) + 1 }
    },
    validate(doc, old) {
      doc.n = 'not stored'
      if (old !== null) assert.equal(typeof old.n, 'number')
    },
  })
  const { rev } = await db.put({ _id: 'a', n: 1 })
  const shaped = { _id: 'a', n: 1, on: '1970-01-01T00:00:00.000Z', by: 'nobody', edits: 1 }
  assert.deepEqual(await db.get('a'), { ...shaped, _rev: rev })
  assert.deepEqual(calls[1].slice(0, 2), ['validate', shaped])
  await db.put({ ...(await db.get('a')), n: 2 }, { author: 'Alice' })
  const { n, by, edits } = await db.get('a')
  assert.deepEqual({ n, by, edits }, { n: 2, by: 'Alice', edits: 2 })
  await db.put({ _id: 'b', n: 3, kept: true })
  assert.equal((await db.get('b')).n, 3)
  assert.equal(calls.find(([name, { _id }]) => name === 'validate' && _id === 'b')[1].n, 3)
  await db.bulkDocs([{ _id: 'c', _rev: '1-x', n: 4 }], { new_edits: false })
  assert.equal((await db.get('c')).by, undefined)
  assert.equal(calls.filter(([name, { _id }]) => name === 'onWrite' && _id === 'c').length, 0)
})

test('a shape that cannot be stored is refused, and says what is wrong', async (t) => {
  const shapes = {
    null: [() => null, 500, /no document/],
    list: [() => [], 500, /no document/],
    text: [() => 'a', 500, /no document/],
    big: [(doc) => ({ ...doc, n: 1n }), 500, /bigint.*at n/],
    id: [(doc) => ({ ...doc, _id: 'other' }), 500, /keep _id and _rev/],
    rev: [(doc) => ({ ...doc, _rev: '1-a' }), 500, /keep _id and _rev/],
    nameless: [({ _id, ...doc }) => doc, 500, /no _id/],
    member: [(doc) => ({ ...doc, _odd: 1 }), 500, /_odd/],
    thrown: [() => assert.fail('broken'), 403, /broken/],
  }
  const { db } = withRules(t, { onWrite: (doc) => shapes[doc._id][0](doc) })
  for (const [_id, [, expected, told]] of Object.entries(shapes)) {
    const [status, name, reason] = await refusal(db.put({ _id }))
    assert.match(reason, told, _id)
    assert.deepEqual([status, name === 'logic_failed'], [expected, expected === 500], _id)
  }
  assert.equal((await db.info()).doc_count, 0)
})

test('local and design documents are not shown', async (t) => {
  const { db, calls } = withRules(t, { validate: () => assert.fail('no'), onWrite: () => assert.fail('no') })
  await db.put({ _id: '_local/a' })
  await db.put({ _id: '_design/a' })
  assert.deepEqual(calls, [])
})

test('a module is imported from its URL, and one that is none keeps the database from opening', async (t) => {
  const url = (code) => `data:text/javascript,${encodeURIComponent(code)}`
  const db = open(t, 'imported', {
    logic: new URL(url("export function validate() { throw { forbidden: 'by URL' } }")),
  })
  assert.deepEqual(await refusal(db.put({ _id: 'a' })), [403, 'forbidden', 'by URL'])
  const broken = {
    [url('export const other = 1')]: /none of validate, onWrite and merges/,
    [url('export const validate = 1')]: /validate is no function/,
    [url('throw new Error("at the top")')]: /at the top/,
    [new URL('./nowhere.mjs', import.meta.url).href]: /could not be loaded/,
  }
  for (const [logic, reason] of Object.entries(broken)) {
    const failing = open(t, 'broken', { logic })
    await assert.rejects(failing.ready, { status: 500, name: 'logic_failed', reason })
    await assert.rejects(failing.put({ _id: 'a' }), { status: 500, name: 'logic_failed' })
  }
  assert.throws(() => open(t, 'none', { logic: 'http://[' }), { status: 400, name: 'bad_request' })
})
