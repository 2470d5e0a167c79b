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
  const { rev } = await review.merge({ _id: 'd', n: 'merged' }, { author: 'Bob', message: 'both' })
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
  await assert.rejects(review.merge({ _id: 'd', n: 'late' }), { status: 409, name: 'conflict' })
  assert.deepEqual(await db.get('d', { open_revs: 'all' }), before)
})

test('reviews are of the documents that have more than one branch, by their ids', async (t) => {
  const db = await forked(t)
  await db.bulkDocs(Array.from({ length: 50 }, (_, n) => ({ _id: `e${n}` })))
  const fork = (id) => ({ _id: id, _rev: '1-other', _revisions: { start: 1, ids: ['other'] } })
  await db.bulkDocs([fork('e9'), fork('e10')], { new_edits: false })
  const open = await db.reviews()
  assert.deepEqual(
    open.map(({ id, branches }) => [id, branches.length]),
    [
      ['d', 3],
      ['e10', 2],
      ['e9', 2],
    ],
  )
})

test('a list of reviews follows what opens, changes and closes, and keeps the objects of the others', async (t) => {
  const db = await forked(t)
  const updates = db.reviews()[Symbol.asyncIterator]()
  const next = async () => (await updates.next()).value
  const first = await next()
  assert.deepEqual([first.reviews.map(({ id }) => id), first.added.length], [['d'], 1])

  await db.put({ _id: 'calm', _rev: '1-other', _revisions: { start: 1, ids: ['other'] }, n: 1 }, { new_edits: false })
  const opened = await next()
  assert.deepEqual([opened.reviews.map(({ id }) => id), opened.added.map(({ id }) => id)], [['calm', 'd'], ['calm']])
  assert.equal(opened.reviews[1], first.reviews[0])

  await db.put({ _id: 'd', _rev: '2-z', n: 'moved on' })
  const changed = await next()
  assert.deepEqual([changed.changed.map(({ id }) => id), changed.added, changed.removed], [['d'], [], []])
  assert.equal(changed.changed[0].branches[0].doc.n, 'moved on')

  await changed.changed[0].merge('ours')
  const closed = await next()
  assert.deepEqual([closed.reviews.map(({ id }) => id), closed.removed.map(({ id }) => id)], [['calm'], ['d']])
  await updates.return()
})

test('a selector sees the winning document, the clashing paths and who wrote the branches', async (t) => {
  const db = await forked(t)
  const { rev } = await db.put({ _id: 'o', n: 0, text: 'a' })
  await db.put({ _id: 'o', _rev: rev, n: 0, text: 'b' }, { author: 'Alice' })
  const firkin = { author: 'Bob' }
  const theirs = { _id: 'o', _rev: '2-x', _revisions: { start: 2, ids: ['x', rev.slice(2)] }, n: 0, text: 'c', firkin }
  await db.put(theirs, { new_edits: false })
  const ids = async (selector) => (await db.reviews(selector)).map(({ id }) => id)
  assert.deepEqual(await ids({ n: 0 }), ['o'])
  assert.deepEqual(await ids({ '_review.clashes': { $elemMatch: { $eq: 'text' } } }), ['o'])
  assert.deepEqual(await ids({ '_review.clashes': { $elemMatch: { $eq: 'n' } } }), ['d'])
  assert.deepEqual(await ids({ '_review.authors': { $all: ['Alice', 'Bob'] } }), ['o'])
  assert.deepEqual(await ids({ '_review.branches': { $gt: 2 } }), ['d'])
  await assert.rejects(async () => await db.reviews({ n: { $no: 1 } }), { status: 400, name: 'invalid_operator' })
})

/** A review of branches of `base`, of which `ours` wins. */
async function reviewOf(t, { base, ours, theirs }, options) {
  const db = open(t, 'reviews', options)
  const { rev } = await db.put({ _id: 'd', ...base })
  const branch = (name, doc) => ({
    _id: 'd',
    _rev: `2-${name}`,
    _revisions: { start: 2, ids: [name, rev.slice(2)] },
    ...doc,
  })
  await db.bulkDocs([branch('z', ours), branch('a', theirs)], { new_edits: false })
  return { db, review: await db.review('d') }
}

const sides = { base: { a: 1, b: 1, c: 1 }, ours: { a: 2, b: 2, c: 1 }, theirs: { a: 3, b: 1, c: 3 } }

test('a review tells clashes, differences and what the policies propose', async (t) => {
  const { review } = await reviewOf(t, sides, { merge: { '*': 'three-way' } })
  assert.deepEqual(review.clashes, [{ path: 'a', base: 1, ours: 2, theirs: 3 }])
  assert.deepEqual(review.proposal, { a: 2, b: 2, c: 3, _id: 'd' })
  assert.equal(review.decided, false)
  const changes = (patch) => patch.map(({ op, path, value }) => [op, path, value])
  assert.deepEqual(changes(review.diff('2-z')), [
    ['replace', '/a', 2],
    ['replace', '/b', 2],
  ])
  assert.deepEqual(changes(review.diff()), [
    ['replace', '/a', 3],
    ['replace', '/c', 3],
  ])
  assert.throws(() => review.diff('2-none'), { status: 404 })
  assert.deepEqual(review.branches[0].history.length, 2)
})

test('a merge takes a side, the proposal, or a choice for each path', async (t) => {
  const merged = async (choice) => {
    const { db, review } = await reviewOf(t, sides, { merge: { '*': 'three-way' } })
    await review.merge(choice)
    const { a, b, c, _conflicts } = await db.get('d', { conflicts: true })
    assert.equal(_conflicts, undefined)
    return [a, b, c]
  }
  assert.deepEqual(await merged('ours'), [2, 2, 1])
  assert.deepEqual(await merged('theirs'), [3, 1, 3])
  assert.deepEqual(await merged('proposal'), [2, 2, 3])
  assert.deepEqual(await merged({ a: 'theirs', c: 'base' }), [3, 2, 1])
  assert.deepEqual(await merged({ a: { value: 9 } }), [9, 2, 3])
  assert.deepEqual(await merged({ a: '2-a', b: '2-z' }), [3, 2, 3])
  assert.deepEqual(await merged({}), [2, 2, 3])
  // With an id it is a document, whatever it reads like.
  assert.deepEqual(await merged({ _id: 'd', a: 'theirs', c: 'base' }), ['theirs', undefined, 'base'])
})

test('of three branches one is named by its revision, for all or for a path; theirs says so', async (t) => {
  const { db, review } = await reviewOf(t, sides, {})
  const [root] = review.branches[0].history.slice(-1)
  const third = { _id: 'd', _rev: '2-b', _revisions: { start: 2, ids: ['b', root.slice(2)] }, a: 4, b: 4, c: 4 }
  await db.bulkDocs([third], { new_edits: false })
  const revs = ['2-z', '2-b', '2-a']
  for (const choice of ['theirs', { a: 'theirs' }]) {
    const three = await db.review('d')
    assert.deepEqual(
      three.branches.map(({ rev }) => rev),
      revs,
    )
    await assert.rejects(three.merge(choice), ({ status, reason }) => {
      const names = [...revs, 'by its revision', '{ path: choice }', 'the document']
      assert.deepEqual([status, names.filter((name) => !reason.includes(name))], [400, []])
      return true
    })
  }
  await (await db.review('d')).merge({ a: '2-a', c: '2-b' })
  const [{ rev }] = (await db.review('d')).branches
  const { a, b, c } = await db.get('d', { rev, conflicts: true })
  assert.deepEqual([a, b, c], [3, 2, 4])
  await (await db.review('d')).revert()
  const open = await db.review('d')
  const other = open.branches.find(({ doc }) => doc.a === 4)
  await open.merge(other.rev)
  assert.deepEqual([(await db.get('d')).b, (await db.review('d')).branches.length], [4, 1])
})

test('who merges apart in the same way makes the same revision', async (t) => {
  const revs = []
  for (let replica = 0; replica < 5; replica += 1) {
    const { review } = await reviewOf(t, sides, { merge: { '*': 'three-way' } })
    revs.push((await review.merge({ a: 'theirs' })).rev)
  }
  assert.equal(new Set(revs).size, 1)
})

test('a merge can be taken back, also after a compaction, and is for a person then', async (t) => {
  const { db } = await reviewOf(t, sides, { merge: { '*': 'max' } })
  // Nobody but the policy closes it.
  for await (const { reviews } of db.reviews()) if (reviews.length === 0) break
  await db.compact()
  await (await db.review('d')).revert({ author: 'Bob' })
  const again = await db.review('d')
  assert.deepEqual(again.branches.map(({ doc: { a, b, c } }) => [a, b, c]).sort(), [
    [2, 2, 1],
    [3, 1, 3],
  ])
  assert.equal(
    again.branches.some(({ author }) => author === 'Bob'),
    true,
  )
  assert.equal(again.decided, false)
  await assert.rejects((await db.review('d')).revert(), { status: 404 })
})

test('an edit that carries the member of a merge along is no merge to take back', async (t) => {
  const { db, review } = await reviewOf(t, sides, {})
  await review.merge('ours')
  await db.put({ ...(await db.get('d')), a: 7 })
  await assert.rejects(review.revert(), { status: 409 })
  await assert.rejects((await db.review('d')).revert(), { status: 404 })
})

test('a review that is refused with 409 shows what there is by then', async (t) => {
  const { db, review } = await reviewOf(t, sides, {})
  await db.put({ _id: 'd', _rev: '2-a', a: 'moved on' })
  await assert.rejects(review.merge('theirs'), { status: 409, name: 'conflict' })
  assert.equal(review.branches[0].doc.a, 'moved on')
  await review.merge('ours')
  assert.equal((await db.get('d')).a, 'moved on')
})

test('author, message and time of a write are told by its branch', async (t) => {
  const db = open(t, 'reviews')
  const told = { author: 'Bob', message: 'because', time: '2026-11-01T10:00:00.000Z' }
  await db.put({ _id: 'd' }, told)
  const [{ author, message, time }] = (await db.review('d')).branches
  assert.deepEqual({ author, message, time }, told)
  await assert.rejects(db.put({ _id: 'e' }, { author: 5 }), { status: 400, name: 'bad_request' })
})

test('a function of the logic module decides where a policy names it; what it throws leaves the review open', async (t) => {
  const logic = {
    merges: {
      sum: (base, ours, theirs) => ours + theirs - base,
      shy: () => undefined,
      broken: () => {
        throw new Error('no idea')
      },
    },
  }
  const by = async (name) =>
    (await reviewOf(t, sides, { logic, merge: { '*': 'three-way', a: { module: name } } })).review
  const decided = await by('sum')
  assert.deepEqual([decided.clashes, decided.proposal.a, decided.decided], [[], 4, true])
  const shy = await by('shy')
  assert.deepEqual([shy.clashes.length, shy.error], [1, undefined])
  for (const name of ['broken', 'absent']) {
    const review = await by(name)
    assert.deepEqual([review.clashes.length, review.decided, review.error.name], [1, false, 'logic_failed'])
    await assert.rejects(review.merge('proposal'), { status: 500, name: 'logic_failed' })
    await review.merge({ a: 'theirs' })
  }
})

test('policies that are none are refused with 400', (t) => {
  for (const merge of ['max', { '*': 'least' }, { a: { lastWriter: 5 } }, { a: { module: 'x' } }, { a: {} }, null]) {
    assert.throws(() => open(t, 'reviews', { merge }), { status: 400, name: 'bad_request' }, JSON.stringify(merge))
  }
})

test('a database with policies for what no merge is about does not open', async (t) => {
  for (const merge of [{ _id: 'max' }, { 'firkin.x': 'max' }, { a: { lastWriter: '_rev' } }]) {
    const { ready } = open(t, 'reviews', { merge })
    await assert.rejects(ready, { status: 400, name: 'bad_request' }, JSON.stringify(merge))
  }
})

test('a merge with what is no choice is refused with 400, and writes nothing', async (t) => {
  const db = await forked(t)
  const review = await db.review('d')
  const { update_seq } = await db.info()
  const documents = [{ _id: 'other', n: 1 }, { _id: 'd', _deleted: true }, { _id: 'ours' }]
  const slips = [{ n: 'merged' }, { n: 'ours', m: 1 }, { n: { value: undefined } }, { n: { value: 1, more: 2 } }]
  const places = [
    { _rev: 'ours' },
    { firkin: 'ours' },
    { _deleted: { value: true } },
    { 'n[0]': 'ours' },
    { '': 'base' },
  ]
  for (const choice of [undefined, null, 5, [], new Date(0), () => {}, ...documents, ...slips, ...places]) {
    await assert.rejects(review.merge(choice), { status: 400, name: 'bad_request' }, JSON.stringify(choice))
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
