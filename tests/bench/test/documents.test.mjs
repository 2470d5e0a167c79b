// What is stored and asked is what the tables say of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digest, documentOf, documentsOf, shelves } from '../documents.mjs'
import { compare, Expected } from '../expected.mjs'
import { planOf } from '../plan.mjs'

test('documents are the same each time, of about 800 bytes, and about 1% have any one shelf', () => {
  assert.deepEqual(documentOf(7), documentOf(7))
  const docs = documentsOf(0, 5000)
  const bytes = JSON.stringify(docs).length / docs.length
  assert.ok(bytes > 750 && bytes < 850, `${bytes} bytes`)
  const counts = tally(docs)
  assert.equal(counts.size, shelves)
  for (const [shelf, count] of counts) assert.ok(count > 20 && count < 100, `${count} documents have ${shelf}`)
})

function tally(docs) {
  const counts = new Map()
  for (const { shelf } of docs) counts.set(shelf, (counts.get(shelf) ?? 0) + 1)
  return counts
}

test('a digest does not depend on the order of members, nor on what a database adds, but on all else', () => {
  const doc = documentOf(3)
  const reversed = Object.fromEntries(Object.entries({ ...doc, _rev: '1-a' }).reverse())
  assert.deepEqual(digest([reversed]), digest([doc]))
  assert.notDeepEqual(digest([{ ...doc, stock: doc.stock + 1 }]), digest([doc]))
})

test('the plan is the same each time', () => {
  assert.deepEqual(planOf(300), planOf(300))
})

test('what is expected follows the edits, and an answer that differs is an error', () => {
  const expected = new Expected()
  expected.add([0, 1, 2, 3])
  expected.change([{ number: 2, changes: { score: 5, shelf: 'mine' } }])
  const changed = { ...documentOf(2), score: 5, shelf: 'mine' }
  assert.deepEqual(expected.first(1), digest([changed]))
  assert.deepEqual(expected.findEqual('mine'), digest([changed]))
  assert.deepEqual(expected.findRange({ low: 0, high: 10, limit: 20 }), digest([changed]))
  compare('right', [digest([changed, documentOf(0)])], [digest([documentOf(0), changed])])
  assert.throws(() => compare('order', [['a', 'b']], [['b', 'a']], { ordered: true }), /order: answer 1/)
  assert.throws(() => compare('wrong', [digest([documentOf(2)])], [expected.get(2)]), /wrong: answer 1/)
  assert.throws(() => compare('missing', [[]], [expected.get(2)]), /0 documents where 1 are right/)
})
