// The scenario that must always work: Alice, Iko and Bob change the same documents, one of them offline, and agree.
//
// Three browser profiles, which share nothing but the server's database. Several documents take the same way, so that among
// them Alice's branch wins of some and Bob's of others: which one wins is up to the hash of the revision.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { usePeople } from '../support/people.mjs'

const ids = Array.from({ length: 8 }, (_, index) => `note-${index}`)

const shared = usePeople()
const { people } = shared

test('edits made apart are reviewed, merged and agreed on by all three and the server', async () => {
  const { Alice, Iko, Bob } = people
  const peer = await openEverywhere('by-hand')

  await write(Alice, 'a')
  await replicate(Alice, 'to', peer)
  await replicate(Bob, 'from', peer)
  await replicate(Iko, 'from', peer)
  const original = await winners(Alice)
  assert.deepEqual(await winners(Bob), original)

  await write(Alice, 'b')
  await replicate(Alice, 'to', peer)
  await replicate(Iko, 'from', peer)
  const ofAlice = await winners(Alice)
  assert.deepEqual(await winners(Iko), ofAlice)
  assert.deepEqual(texts(ofAlice), textsOf('b'))

  await Bob.context.setOffline(true)
  assert.deepEqual(await winners(Bob), original)
  await write(Bob, 'c')
  const ofBob = await winners(Bob)
  assert.deepEqual(texts(ofBob), textsOf('c'))
  await assert.rejects(replicate(Bob, 'from', peer), /network_failed/)

  await Bob.context.setOffline(false)
  await sync(Bob, peer)
  await holdsBothBranches(Bob, original, ofAlice, ofBob)
  await mergeAll(Bob, 'd')
  const merged = await winners(Bob)
  await replicate(Bob, 'to', peer)
  await replicate(Alice, 'from', peer)
  await replicate(Iko, 'from', peer)

  for (const person of [Alice, Iko, Bob]) await agreesOn(person, merged, 'd')
  assert.deepEqual(await winnersOnServer(peer), merged)
})

test('with live syncs, the branches and the merge arrive by themselves', async () => {
  const { Alice, Iko, Bob } = people
  const peer = await openEverywhere('live')
  for (const person of [Alice, Iko, Bob]) await syncLive(person, peer)

  await write(Alice, 'a')
  for (const person of [Iko, Bob]) await arrives(person, 'a')
  const original = await winners(Bob)

  await Bob.context.setOffline(true)
  await write(Alice, 'b')
  await arrives(Iko, 'b')
  const ofAlice = await winners(Alice)
  await write(Bob, 'c')
  const ofBob = await winners(Bob)
  assert.deepEqual(texts(ofBob), textsOf('c'))
  await Bob.context.setOffline(false)

  for (const person of [Alice, Iko, Bob]) await reviewsOpen(person, ids.length)
  await holdsBothBranches(Bob, original, ofAlice, ofBob)
  await mergeAll(Bob, 'd')
  const merged = await winners(Bob)
  for (const person of [Alice, Iko]) {
    await arrives(person, 'd')
    await reviewsOpen(person, 0)
  }
  for (const person of [Alice, Iko, Bob]) await agreesOn(person, merged, 'd')
  await Bob.page.evaluate(() => window.live.settled())
  assert.deepEqual(await winnersOnServer(peer), merged)
  for (const { page } of [Alice, Iko, Bob]) await page.evaluate(() => window.live.cancel())
})

// What people do.

/** Gives each person a database of this name, and the server one; answers the server's address of it. */
async function openEverywhere(name) {
  const peer = `${shared.server.url}/${name}`
  assert.equal((await fetch(peer, { method: 'PUT' })).status, 201)
  const opened = Object.values(people).map(({ page }) =>
    page.evaluate(async (asked) => {
      window.db = new window.Firkin(asked)
      await window.db.ready
    }, name),
  )
  await Promise.all(opened)
  return peer
}

/** Writes the next revision of every document; its text begins with `letter`. */
async function write({ page, name }, letter) {
  const docs = ids.map((id) => ({ _id: id, text: textOf(letter, id) }))
  await page.evaluate(
    async ([docs, author]) => {
      const { rows } = await window.db.allDocs()
      const revs = new Map(rows.map(({ id, value }) => [id, value.rev]))
      for (const doc of docs) {
        const current = revs.get(doc._id)
        await window.db.put(current === undefined ? doc : { ...doc, _rev: current }, { author })
      }
    },
    [docs, name],
  )
}

function replicate({ page }, way, peer) {
  return page.evaluate(([way, peer]) => window.db.replicate[way](peer).then(() => undefined), [way, peer])
}

function sync({ page }, peer) {
  return page.evaluate((peer) => window.db.sync(peer).then(() => undefined), peer)
}

function syncLive({ page }, peer) {
  return page.evaluate((peer) => {
    window.live = window.db.sync(peer, { live: true, retry: true })
  }, peer)
}

async function mergeAll({ page, name }, letter) {
  const choices = ids.map((id) => [id, textOf(letter, id)])
  await page.evaluate(
    async ([choices, author]) => {
      for (const [id, text] of choices) await (await window.db.review(id)).merge({ _id: id, text }, { author })
    },
    [choices, name],
  )
}

// What they see.

/** `{ id: [rev, text] }` of the winning revisions. */
async function winners({ page }) {
  const rows = await page.evaluate(async () => (await window.db.allDocs({ include_docs: true })).rows)
  return winnersOf(rows)
}

async function winnersOnServer(peer) {
  const answer = await fetch(`${peer}/_all_docs?include_docs=true&conflicts=true`)
  const { rows } = await answer.json()
  for (const { doc } of rows) assert.equal(doc._conflicts, undefined)
  return winnersOf(rows)
}

function winnersOf(rows) {
  return Object.fromEntries(rows.map(({ id, doc }) => [id, [doc._rev, doc.text]]))
}

/** Every document has the branches of both, reachable by revision, and a review that knows what they grew from. */
async function holdsBothBranches({ page }, original, ofAlice, ofBob) {
  const seen = await page.evaluate(
    async (revsOf) => {
      const reviews = []
      for (const { id, base, branches } of await window.db.reviews()) {
        const doc = await window.db.get(id, { conflicts: true })
        const byRev = []
        for (const rev of revsOf[id]) byRev.push((await window.db.get(id, { rev })).text)
        const texts = branches.map(({ doc }) => doc.text)
        reviews.push({ id, base: base._rev, revs: branches.map(({ rev }) => rev), texts, doc, byRev })
      }
      return reviews
    },
    Object.fromEntries(ids.map((id) => [id, [ofAlice[id][0], ofBob[id][0]]])),
  )
  assert.deepEqual(
    seen.map(({ id }) => id),
    ids,
  )
  const wonBy = new Set()
  for (const { id, base, revs, texts, doc, byRev } of seen) {
    // Both are second revisions, so that the greater hash wins.
    const [[loser, losing], [winner, winning]] = [ofAlice[id], ofBob[id]].sort()
    assert.equal(base, original[id][0])
    assert.deepEqual(revs, [winner, loser])
    assert.deepEqual(texts, [winning, losing])
    assert.equal(doc._rev, winner)
    assert.deepEqual(doc._conflicts, [loser])
    assert.deepEqual(byRev, [textOf('b', id), textOf('c', id)])
    wonBy.add(winner === ofBob[id][0] ? 'Bob' : 'Alice')
  }
  assert.equal(wonBy.size, 2)
}

/** This replica holds the merge of every document, the same as the others, and nothing is left to review. */
async function agreesOn(person, merged, letter) {
  const { page, name } = person
  assert.deepEqual(await winners(person), merged, name)
  assert.deepEqual(texts(merged), textsOf(letter), name)
  const seen = await page.evaluate(async () => {
    const { rows } = await window.db.allDocs({ include_docs: true, conflicts: true })
    const found = []
    for (const { id, doc } of rows) {
      const leaves = await window.db.get(id, { open_revs: 'all' })
      found.push({ conflicts: doc._conflicts ?? [], open: leaves.filter(({ ok }) => ok._deleted !== true).length })
    }
    return { found, reviews: (await window.db.reviews()).length }
  })
  assert.deepEqual(
    seen.found,
    ids.map(() => ({ conflicts: [], open: 1 })),
    name,
  )
  assert.equal(seen.reviews, 0, name)
}

/** Waits until every document's text begins with `letter`. */
async function arrives({ page }, letter) {
  const hold = async (expected) => {
    const { rows } = await window.db.allDocs({ include_docs: true })
    return JSON.stringify(rows.map(({ doc }) => doc.text)) === JSON.stringify(expected)
  }
  await eventually(page, hold, textsOf(letter))
}

/** Waits until so many reviews are open. */
async function reviewsOpen({ page }, count) {
  await eventually(page, async (expected) => (await window.db.reviews()).length === expected, count)
}

function textOf(letter, id) {
  return `${letter} of ${id}`
}

function textsOf(letter) {
  return ids.map((id) => textOf(letter, id))
}

function texts(winners) {
  return ids.map((id) => winners[id]?.[1])
}
