// Reviews, over the real engine in memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from './open.mjs'

/** A database whose document `d` grew from one revision into the branches `x`, `y` and `z`. */
async function forked(t) {
  const db = open(t, 'reviews')
  const { rev } = await db.put({ _id: 'd', n: 0 })
  const ids = (name) => [name, rev.slice(2)]
  await db.bulkDocs(
    ['x', 'z', 'y'].map((name) => ({ _id: 'd', _rev: `2-${name}`, _revisions: { start: 2, ids: ids(name) }, n: name })),
    { new_edits: false },
  )
  await db.put({ _id: 'calm', n: 0 })
  return db
}

test('a review shows what the branches grew from, the winning branch first', async (t) => {
  const db = await forked(t)
  const { id, base, branches } = await db.review('d')
  assert.deepEqual([id, base.n, branches[0].rev], ['d', 0, '2-z'])
  assert.deepEqual(branches.map(({ rev, doc }) => [rev, doc.n]).sort(), [
    ['2-x', 'x'],
    ['2-y', 'y'],
    ['2-z', 'z'],
  ])
  assert.equal('_revisions' in branches[0].doc, false)
})

test('a merge is one revision on the winning branch that says what it closed, and no conflict is left', async (t) => {
  const db = await forked(t)
  const review = await db.review('d')
  const { rev } = await review.merge({ n: 'merged' }, { author: 'Bob', message: 'both' })
  const { n, firkin, _rev, _conflicts, _revisions } = await db.get('d', { conflicts: true, revs: true })
  assert.deepEqual([n, _rev, _conflicts], ['merged', rev, undefined])
  assert.deepEqual([_revisions.start, _revisions.ids[1]], [3, 'z'])
  assert.deepEqual([firkin.author, firkin.message, firkin.merged], ['Bob', 'both', ['2-x', '2-y']])
  assert.equal((await db.review('d')).branches.length, 1)
  const leaves = await db.get('d', { open_revs: 'all' })
  const tombstones = leaves.map(({ ok }) => ok).filter(({ _deleted }) => _deleted)
  assert.deepEqual(
    tombstones.map((doc) => Object.keys(doc).sort()),
    [
      ['_deleted', '_id', '_rev'],
      ['_deleted', '_id', '_rev'],
    ],
  )
})

test('a branch can be taken as it is', async (t) => {
  const db = await forked(t)
  await (await db.review('d')).merge('2-x')
  const { n, _conflicts, _revisions } = await db.get('d', { conflicts: true, revs: true })
  assert.deepEqual([n, _conflicts, _revisions.ids[1]], ['x', undefined, 'z'])
})

test('a merge after the document has changed is refused with 409, and writes nothing', async (t) => {
  const db = await forked(t)
  const review = await db.review('d')
  await db.put({ _id: 'd', _rev: '2-x', n: 'moved on' })
  const before = await db.get('d', { open_revs: 'all' })
  await assert.rejects(review.merge({ n: 'late' }), { status: 409, name: 'conflict' })
  assert.deepEqual(await db.get('d', { open_revs: 'all' }), before)
})

test('reviews are of the documents that have more than one branch, however many there are between', async (t) => {
  const db = await forked(t)
  await db.bulkDocs(Array.from({ length: 450 }, (_, n) => ({ _id: `e${n}` })))
  const fork = (id) => ({ _id: id, _rev: '1-other', _revisions: { start: 1, ids: ['other'] } })
  // Documents are read 200 at a time: one that ends a page must not come twice.
  const { rows } = await db.allDocs({ skip: 199, limit: 1 })
  const open = ['d', rows[0].id, 'e99']
  await db.bulkDocs(open.slice(1).map(fork), { new_edits: false })
  const ids = []
  for await (const { id, branches } of db.reviews()) ids.push([id, branches.length])
  assert.deepEqual(
    ids,
    open.map((id) => [id, id === 'd' ? 3 : 2]),
  )
})

/** A database of so many documents, each with two branches. */
async function allForked(t, count) {
  const db = open(t, 'all forked')
  const ids = Array.from({ length: count }, (_, n) => `d${String(n).padStart(4, '0')}`)
  const branch = (name) => (_id) => ({ _id, _rev: `1-${name}`, _revisions: { start: 1, ids: [name] } })
  await db.bulkDocs([...ids.map(branch('a')), ...ids.map(branch('b'))], { new_edits: false })
  return { db, ids }
}

async function removeAll(db, id) {
  for (const { ok } of await db.get(id, { open_revs: 'all' })) await db.remove(id, ok._rev)
}

test('the last document of a page may be deleted meanwhile: the first of the next is not left out', async (t) => {
  const { db, ids } = await allForked(t, 202)
  const seen = []
  for await (const { id } of db.reviews()) {
    seen.push(id)
    if (id === ids[199]) await removeAll(db, id)
  }
  assert.deepEqual(seen, ids)
})

test('what is deleted or merged after it was listed is passed over', async (t) => {
  const { db, ids } = await allForked(t, 5)
  const seen = []
  for await (const { id } of db.reviews()) {
    seen.push(id)
    if (id !== ids[0]) continue
    await removeAll(db, ids[1])
    await (await db.review(ids[3])).merge('1-a')
  }
  assert.deepEqual(seen, [ids[0], ids[2], ids[4]])
})

test('a merge with what is neither a branch nor a document is refused with 400, and writes nothing', async (t) => {
  const db = await forked(t)
  const review = await db.review('d')
  const { update_seq } = await db.info()
  for (const choice of [undefined, null, 5, [], new Date(0), () => {}]) {
    await assert.rejects(review.merge(choice), { status: 400, name: 'bad_request' })
  }
  assert.equal((await db.info()).update_seq, update_seq)
})

test('branches with no common root have no base', async (t) => {
  const db = await forked(t)
  const { rev } = await db.put({ _id: 'two', n: 1 })
  await db.put({ _id: 'two', _rev: '1-other', _revisions: { start: 1, ids: ['other'] } }, { new_edits: false })
  const { base, branches } = await db.review('two')
  assert.equal(base, null)
  assert.ok(branches.some((branch) => branch.rev === rev))
})

test('the review of a document that is not there is a 404, and so is a branch that is not there', async (t) => {
  const db = await forked(t)
  await assert.rejects(db.review('never'), { status: 404 })
  await assert.rejects((await db.review('d')).merge('2-w'), { status: 404 })
})
