// A decision stands: whoever goes on from a branch that was merged away is asked about the new edit, and about nothing else.
//
// Once per policy, with three and with five branches, on replicas that hold all or a part, in one real browser beside a real server.
// The merge is edited before it is pushed as well: then no leaf tells of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usePeople } from '../support/people.mjs'

const rules = `
  export const merges = {
    longer: (base, ours, theirs) => [ours, theirs].sort((one, other) => other.length - one.length || (one < other ? -1 : 1))[0],
  }`

// What replica n makes of `a`, and what it is to stay at, which no policy would make of the branches.
const policies = [
  ['review', 'base', (n) => `of ${n}`, 'decided'],
  ['three-way', 'base', (n) => `of ${n}`, 'decided'],
  ['automerge', 'a base.', (n) => `a base. By ${n}.`, 'decided'],
  ['max', 10, (n) => 20 + n, 1],
  ['min', 10, (n) => 5 - n, 99],
  ['union', ['x'], (n) => ['x', `of ${n}`], ['decided']],
  ['counter', { all: 1 }, (n) => ({ all: 1, [`r${n}`]: n }), { decided: 1 }],
  [{ lastWriter: 'at' }, 'base', (n) => `of ${n}`, 'decided'],
  [{ module: 'longer' }, '', (n) => 'long '.repeat(n + 1), ''],
]

const shared = usePeople({ '/rules.js': rules })
let databases = 0

/** The URL of a new database on the server. */
async function newPeer() {
  databases += 1
  const peer = `${shared.server.url}/merged-away-${databases}`
  assert.equal((await fetch(peer, { method: 'PUT' })).status, 201)
  return peer
}

for (const [policy, base, edited, decided] of policies) {
  for (const count of [3, 5]) {
    for (const isPushed of [true, false]) {
      const when = isPushed ? 'before and after' : 'only after'
      test(`${JSON.stringify(policy)}, ${count} branches, pushed ${when} the merge is edited: the decision stands`, async () => {
        const branches = Array.from({ length: count }, (_, n) => edited(n))
        const asked = { peer: await newPeer(), policy, base, branches, decided, isPushed }
        const seen = await shared.people.Alice.page.evaluate(goOnFromABranch, asked)
        for (const doc of seen.docs) assert.deepEqual(doc, seen.docs[0])
        const { a, b, _conflicts } = seen.docs[0]
        assert.deepEqual({ a, b, _conflicts }, { a: decided, b: 'late', _conflicts: undefined })
        assert.deepEqual(seen.clashes, [])
        assert.deepEqual(seen.others, ['other', undefined, undefined])
        const onServer = await (await fetch(`${asked.peer}/d?conflicts=true`)).json()
        assert.deepEqual(onServer, seen.docs[0])
      })
    }
  }
}

test('two versions of policies: the merge by the greater stands, on parts too, and an edit of a branch it merged is reviewed alone', async () => {
  const peer = await newPeer()
  const seen = await shared.people.Bob.page.evaluate(async (peer) => {
    const versions = [
      { merge: { '*': 'max' }, mergeVersion: 2 },
      { merge: { '*': 'min' }, mergeVersion: 1 },
      { merge: { '*': 'max' }, mergeVersion: 2 },
      { merge: { '*': 'min' }, mergeVersion: 1 },
    ]
    const filters = [{}, { selector: { kind: 'x' } }, { doc_ids: ['d'] }, {}]
    const replicas = versions.map((options, n) => new window.Firkin(`versions-${n}`, options))
    const way = (name, n) => replicas[n].replicate[name](peer, filters[n])
    const all = (name) => Promise.all(replicas.map((_, n) => way(name, n)))
    const { rev } = await replicas[0].put({ _id: 'd', kind: 'x', a: 5, b: 0 })
    await way('to', 0)
    await all('from')
    await Promise.all(
      replicas.slice(0, 3).map((replica, n) => replica.put({ _id: 'd', _rev: rev, kind: 'x', a: n, b: 0 })),
    )
    await Promise.all([0, 1, 2].map((n) => way('to', n)))
    // All merge at once, and apart.
    await all('from')
    const apart = await Promise.all(replicas.map((replica) => replica.get('d')))
    // The last one has gone on from a branch before it heard of any merge: a merge of its own is not there yet.
    for (let round = 0; round < 3; round++) {
      await all('to')
      await all('from')
    }
    const merged = await Promise.all(replicas.map((replica) => replica.get('d', { conflicts: true })))
    // Somebody decides otherwise, and another device goes on from a branch that was merged away.
    await replicas[0].put({ ...merged[0], a: 100 })
    const branch = await replicas[0].get('d', { rev: apart[0].firkin.merged[0], revs: true })
    const ids = ['late', ...branch._revisions.ids]
    const start = branch._revisions.start + 1
    const late = { _id: 'd', _rev: `${start}-late`, _revisions: { start, ids }, kind: 'x', a: branch.a, b: 7 }
    const device = new window.Firkin('versions-device')
    await device.bulkDocs([late], { new_edits: false })
    await device.replicate.to(peer)
    for (let round = 0; round < 3; round++) {
      await all('to')
      await all('from')
    }
    const last = await Promise.all(replicas.map((replica) => replica.get('d', { conflicts: true })))
    for (const replica of [...replicas, device]) await replica.destroy()
    return { apart, merged, last }
  }, peer)
  const versions = seen.apart.map((doc) => doc.firkin.policy.version)
  assert.deepEqual(
    [versions, seen.apart.map(({ a }) => a)],
    [
      [2, 1, 2, 1],
      [2, 0, 2, 0],
    ],
  )
  for (const doc of seen.merged) assert.deepEqual(doc, seen.merged[0])
  assert.equal(seen.merged[0]._rev, seen.apart[0]._rev)
  assert.equal(seen.merged[0]._conflicts, undefined)
  for (const doc of seen.last) assert.deepEqual(doc, seen.last[0])
  const { a, b, _conflicts } = seen.last[0]
  assert.deepEqual({ a, b, _conflicts }, { a: 100, b: 7, _conflicts: undefined })
})

/** Runs in the page: branches are merged by the first replica, which goes on from there, while the last goes on from its own branch. */
async function goOnFromABranch({ peer, policy, base, branches, decided, isPushed }) {
  const options = { merge: { '*': policy }, logic: new URL('/rules.js', location.href) }
  const replicas = branches.map((_, n) => new window.Firkin(`away-${n}`, options))
  const filters = [{}, { selector: { kind: 'x' } }, { doc_ids: ['d'] }]
  const way = (name, n) => replicas[n].replicate[name](peer, filters[n % filters.length])
  const all = (name) => Promise.all(replicas.map((_, n) => way(name, n)))
  const [first] = replicas
  const last = replicas.at(-1)
  await first.put({ _id: 'other', kind: 'y' })
  const { rev } = await first.put({ _id: 'd', kind: 'x', at: 0, a: base, b: 'early' })
  await way('to', 0)
  await all('from')
  const edits = branches.map((a, n) => ({ _id: 'd', _rev: rev, kind: 'x', at: n + 1, a, b: 'early' }))
  const written = await Promise.all(replicas.map((replica, n) => replica.put(edits[n])))
  await all('to')
  await way('from', 0)
  const review = await first.review('d')
  if (review.branches.length > 1) await review.merge('proposal', { author: 'Alice' })
  if (isPushed) await way('to', 0)
  const merge = await first.get('d')
  const { firkin, ...members } = merge
  await first.put({ ...members, at: 100, a: decided })
  await way('to', 0)
  await last.put({ ...edits.at(-1), _rev: written.at(-1).rev, b: 'late' })
  await way('to', replicas.length - 1)
  const clashes = []
  for (let round = 0; round < 4; round++) {
    await all('from')
    // A person closes what the policies leave to one.
    const open = await last.review('d')
    if (open.branches.length > 1) {
      clashes.push(...open.clashes)
      await open.merge('proposal', { author: 'Bob' })
    }
    await all('to')
  }
  const docs = await Promise.all(replicas.map((replica) => replica.get('d', { conflicts: true })))
  const found = replicas.slice(0, 3).map((replica) =>
    replica.get('other').then(
      ({ _id }) => _id,
      () => undefined,
    ),
  )
  const others = await Promise.all(found)
  for (const replica of replicas) await replica.destroy()
  return { docs, clashes, others }
}
