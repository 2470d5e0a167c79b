// Alice, Iko and Bob once more, each time with another policy: what it decides on is merged by whoever pulls, the rest waits.
//
// Three browser profiles, which share nothing but the server's database.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usePeople } from '../support/people.mjs'

const rules = `
  export const merges = {
    longer: (base, ours, theirs) => [ours, theirs].sort((one, other) => other.length - one.length || (one < other ? -1 : 1))[0],
    broken: () => { throw new Error('no idea') },
  }`

// What each policy makes of the edits of Alice and Bob; nothing where a person decides.
const decided = [
  ['three-way', { a: 0, b: 0 }, { a: 1, b: 0 }, { a: 0, b: 2 }, { a: 1, b: 2 }],
  ['three-way', { a: 0 }, { a: 1 }, { a: 2 }],
  ['review', { a: 0, b: 0 }, { a: 1, b: 0 }, { a: 0, b: 2 }],
  ['automerge', { a: 0, b: 0 }, { a: 1, b: 0 }, { a: 0, b: 2 }, { a: 1, b: 2 }],
  [
    'automerge',
    { a: 'Documents are trees. Every path is indexed.', b: ['x'] },
    { a: 'JSON documents are trees. Every path is indexed.', b: ['w', 'x'] },
    { a: 'Documents are trees. Every path of each is indexed.', b: ['x', 'y'] },
    { a: 'JSON documents are trees. Every path of each is indexed.', b: ['w', 'x', 'y'] },
  ],
  ['automerge', { a: 'draft' }, { a: 'approved' }, { a: 'rejected' }],
  ['max', { a: 5 }, { a: 9 }, { a: 7 }, { a: 9 }],
  ['min', { a: 5 }, { a: 3 }, { a: 4 }, { a: 3 }],
  ['union', { a: ['x', 'y'] }, { a: ['y'] }, { a: ['x', 'y', 'z'] }, { a: ['y', 'z'] }],
  ['counter', { a: { Alice: 1 } }, { a: { Alice: 2 } }, { a: { Alice: 1, Bob: 1 } }, { a: { Alice: 2, Bob: 1 } }],
  [{ lastWriter: 'at' }, { a: 0, at: 1 }, { a: 1, at: 3 }, { a: 2, at: 2 }, { a: 1, at: 3 }],
  [{ module: 'longer' }, { a: '' }, { a: 'short' }, { a: 'much longer' }, { a: 'much longer' }],
  [{ module: 'broken' }, { a: '' }, { a: 'short' }, { a: 'much longer' }],
]

const shared = usePeople({ '/rules.js': rules })
const { people } = shared

for (const [place, [policy, base, ofAlice, ofBob, expected]] of decided.entries()) {
  const outcome = expected === undefined ? 'a person decides' : 'whoever pulls merges'
  test(`${JSON.stringify(policy)}, ${Object.keys(base)}: ${outcome}, and all agree`, async () => {
    const { Alice, Iko, Bob } = people
    const peer = `${shared.server.url}/policy-${place}`
    assert.equal((await fetch(peer, { method: 'PUT' })).status, 201)
    const asked = [`policy-${place}`, { '*': policy }]
    for (const { page } of Object.values(people)) await page.evaluate(openWith, asked)

    await edit(Alice, base)
    await replicate(Alice, 'to', peer)
    for (const person of [Iko, Bob]) await replicate(person, 'from', peer)
    await edit(Alice, ofAlice)
    await replicate(Alice, 'to', peer)
    await Bob.context.setOffline(true)
    await edit(Bob, ofBob)
    await Bob.context.setOffline(false)
    await replicate(Bob, 'from', peer)

    const opened = await reviewOf(Bob)
    assert.equal(opened.branches, expected === undefined ? 2 : 1)
    if (expected === undefined) {
      assert.deepEqual(opened.base, base)
      assert.equal(opened.error, policy.module === 'broken' ? 'logic_failed' : undefined)
      await Bob.page.evaluate(async () => (await window.db.review('d')).merge('theirs', { author: 'Bob' }))
    }
    await replicate(Bob, 'to', peer)
    for (const person of [Alice, Iko]) await replicate(person, 'from', peer)
    const seen = await Promise.all([Alice, Iko, Bob].map(stateOf))
    assert.deepEqual(seen[0], seen[2])
    assert.deepEqual(seen[1], seen[2])
    const { doc, open } = seen[2]
    assert.equal(open, 0)
    if (expected !== undefined) assert.deepEqual(own(doc), expected)
    const onServer = await (await fetch(`${peer}/d?conflicts=true`)).json()
    assert.deepEqual(onServer, doc)
  })
}

test('five replicas that merge apart at once make one revision', async () => {
  const { page } = people.Alice
  const peer = `${shared.server.url}/five`
  assert.equal((await fetch(peer, { method: 'PUT' })).status, 201)
  const seen = await page.evaluate(async (peer) => {
    const replicas = Array.from(
      { length: 5 },
      (_, n) => new window.Firkin(`five-${n}`, { merge: { '*': 'three-way' } }),
    )
    const [first] = replicas
    const { rev } = await first.put({ _id: 'd' })
    await first.replicate.to(peer)
    await Promise.all(replicas.map((replica) => replica.replicate.from(peer)))
    await Promise.all(replicas.map((replica, n) => replica.put({ _id: 'd', _rev: rev, [`n${n}`]: n })))
    await Promise.all(replicas.map((replica) => replica.replicate.to(peer)))
    await Promise.all(replicas.map((replica) => replica.replicate.from(peer)))
    const merged = await Promise.all(replicas.map((replica) => replica.get('d', { conflicts: true })))
    await Promise.all(replicas.map((replica) => replica.sync(peer)))
    const reviews = await Promise.all(replicas.map((replica) => replica.reviews()))
    for (const replica of replicas) await replica.destroy()
    return { merged, open: reviews.flat().length }
  }, peer)
  for (const doc of seen.merged) assert.deepEqual(doc, seen.merged[0])
  assert.deepEqual(own(seen.merged[0]), { n0: 0, n1: 1, n2: 2, n3: 3, n4: 4 })
  assert.equal(seen.open, 0)
  const onServer = await (await fetch(`${peer}/d?conflicts=true`)).json()
  assert.deepEqual(onServer, seen.merged[0])
})

async function openWith([name, merge]) {
  await window.db?.close()
  window.db = new window.Firkin(name, { merge, logic: new URL('/rules.js', location.href) })
  await window.db.ready
}

async function edit({ page }, members) {
  await page.evaluate(async (members) => {
    const _rev = await window.db.get('d').then(
      (doc) => doc._rev,
      () => undefined,
    )
    await window.db.put({ _id: 'd', _rev, ...members })
  }, members)
}

function replicate({ page }, way, peer) {
  return page.evaluate(([way, peer]) => window.db.replicate[way](peer).then(() => undefined), [way, peer])
}

async function reviewOf({ page }) {
  const { base, ...review } = await page.evaluate(async () => {
    const { branches, base, error } = await window.db.review('d')
    return { branches: branches.length, base, error: error?.name }
  })
  return { ...review, base: base && own(base) }
}

function stateOf({ page }) {
  return page.evaluate(async () => ({
    doc: await window.db.get('d', { conflicts: true }),
    open: (await window.db.reviews()).length,
  }))
}

/** The app's members. */
function own({ _id, _rev, firkin, ...members }) {
  return members
}
