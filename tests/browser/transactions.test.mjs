// Transactions of several tabs on one database, while the tab that leads comes and goes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A tab that has the database open, and can increment its counter. */
async function openTab(name, options = {}) {
  const page = await profile.open()
  await page.evaluate(
    async ([name, options]) => {
      window.db = new Firkin(name, options)
      window.leading = false
      db.on('leader', ({ leading }) => {
        window.leading = leading
      })
      await db.ready
      window.done = 0
      window.runs = 0
      window.increment = async (times, message) => {
        for (let n = 0; n < times; n += 1) {
          await db.transaction(async (tx) => {
            runs += 1
            const counter = await tx.get('counter')
            await tx.put({ ...counter, n: counter.n + 1 }, message === undefined ? {} : { message })
          })
          done += 1
        }
        return done
      }
    },
    [name, options],
  )
  return page
}

const counter = (page) => page.evaluate(async () => (await db.get('counter')).n)
const close = (pages) => Promise.all(pages.map((page) => page.close()))

async function openTabs(name, count) {
  const pages = []
  for (let n = 0; n < count; n += 1) pages.push(await openTab(name))
  await pages[0].evaluate(() => db.put({ _id: 'counter', n: 0 }))
  return pages
}

test('two tabs that increment a counter a hundred times each count to two hundred', async () => {
  const pages = await openTabs('two tabs', 2)
  const done = await Promise.all(pages.map((page) => page.evaluate(() => increment(100))))
  assert.deepEqual([done, await counter(pages[0])], [[100, 100], 200])
  const { _revisions } = await pages[1].evaluate(() => db.get('counter', { revs: true }))
  assert.equal(_revisions.start, 201)
  await close(pages)
})

for (const [how, end] of [
  ['dies', (page) => page.close()],
  ['closes its database', (page) => page.evaluate(() => db.close())],
]) {
  test(`when the tab that leads ${how} in the middle, every transaction of the others counts once`, async () => {
    const [leader, ...others] = await openTabs(`leader ${how}`, 3)
    assert.equal(await leader.evaluate(() => window.leading), true)
    const running = others.map((page) => page.evaluate(() => increment(100)))
    await eventually(others[0], () => done > 20)
    await end(leader)
    assert.deepEqual(await Promise.all(running), [100, 100])
    assert.equal(await counter(others[0]), 200)
    await close(others)
  })
}

test('a commit that was under way when the tab that led died is neither lost nor done twice', async () => {
  // The leader is closed again and again, each time a little later in the course of a transaction.
  const survivor = await openTab('under way')
  await survivor.evaluate(() => db.put({ _id: 'counter', n: 0 }))
  let expected = 0
  let page = survivor
  for (let round = 0; round < 8; round += 1) {
    const next = await openTab('under way')
    const [leads, follows] = [page, next]
    assert.equal(await leads.evaluate(() => window.leading), true)
    const running = follows.evaluate((round) => increment(30, `round ${round}`), round)
    await eventually(follows, (goal) => done >= goal, round * 3)
    await leads.close()
    assert.equal(await running, 30)
    expected += 30
    page = next
    assert.equal(await counter(page), expected)
  }
  await page.close()
})

for (const [what, isDone] of [
  ['whose answer was lost with the tab that led is recognised and not done again', true],
  ['that the tab that led never got is done by the next, from the beginning', false],
]) {
  test(`a commit ${what}`, async () => {
    const name = `in doubt ${isDone}`
    // Without a worker, what the leader says passes through its page.
    const leader = await openTab(name, { worker: false })
    const follower = await openTab(name)
    await leader.evaluate(() => db.put({ _id: 'counter', n: 0 }))
    const running = follower.evaluate(() =>
      db.transaction(async (tx) => {
        runs += 1
        const counter = await tx.get('counter')
        await tx.put({ ...counter, n: counter.n + 1 })
        if (runs > 1) return
        await new Promise((resolve) => {
          window.commit = resolve
        })
      }),
    )
    await eventually(follower, () => window.commit !== undefined)
    if (isDone) {
      await leader.evaluate(() => {
        const { postMessage } = BroadcastChannel.prototype
        BroadcastChannel.prototype.postMessage = function (message) {
          if (message.message?.type !== 'result') postMessage.call(this, message)
        }
      })
      await follower.evaluate(() => window.commit())
      await eventually(leader, async () => (await db.get('counter')).n === 1)
      await leader.close()
    } else {
      await leader.close()
      await follower.evaluate(() => window.commit())
    }
    await running
    assert.deepEqual([await counter(follower), await follower.evaluate(() => runs)], [1, isDone ? 1 : 2])
    await follower.close()
  })
}

test('a body that throws in one tab, or whose tab is closed, writes nothing and holds up nobody', async () => {
  const [first, second, third] = await openTabs('left alone', 3)
  const error = await second.evaluate(() =>
    db
      .transaction(async (tx) => {
        await tx.put({ _id: 'thrown' })
        throw new RangeError('mine')
      })
      .catch((error) => [error.constructor.name, error.message]),
  )
  assert.deepEqual(error, ['RangeError', 'mine'])
  // In its second run a body has its turn: others would wait for it.
  await third.evaluate(async () => {
    let runs = 0
    window.stuck = db.transaction(async (tx) => {
      runs += 1
      const counter = await tx.get('counter')
      await tx.put({ _id: 'stuck' })
      if (runs === 1) await db.put({ ...counter, n: counter.n })
      else await new Promise(() => window.hasItsTurn())
    })
    await new Promise((resolve) => {
      window.hasItsTurn = resolve
    })
  })
  await third.close()
  await Promise.all([first, second].map((page) => page.evaluate(() => increment(5))))
  assert.equal(await counter(first), 10)
  const there = await first.evaluate(async () => (await db.allDocs()).rows.map(({ id }) => id))
  assert.deepEqual(there, ['counter'])
  await close([first, second])
})

test('a transaction that is always too late says so with a 409 that names the documents', async () => {
  const [first, second] = await openTabs('too late', 2)
  const error = await second.evaluate(() =>
    db
      .transaction(
        async (tx) => {
          const counter = await tx.get('counter')
          await tx.put({ ...counter, n: -1 })
          const { _rev } = await db.get('counter')
          await db.put({ _id: 'counter', _rev, n: 7 })
        },
        { retries: 3 },
      )
      .catch(({ status, name, ids, reason }) => ({ status, name, ids, reason })),
  )
  assert.deepEqual([error.status, error.name, error.ids], [409, 'conflict', ['counter']])
  assert.match(error.reason, /counter/)
  assert.equal(await counter(first), 7)
  await close([first, second])
})

test('what a transaction wrote in one tab is seen whole in another', async () => {
  const [first, second] = await openTabs('whole', 2)
  const torn = first.evaluate(async () => {
    let torn = 0
    let seen = 0
    while (seen < 40) {
      const { docs } = await db.find({ selector: { pair: { $exists: true } } })
      if (new Set(docs.map(({ pair }) => pair)).size > 1 || docs.length === 1) torn += 1
      seen = docs[0]?.pair ?? 0
    }
    return torn
  })
  await second.evaluate(async () => {
    for (let pair = 1; pair <= 40; pair += 1) {
      await db.transaction(async (tx) => {
        for (const id of ['left', 'right']) {
          const { _rev } = await tx.get(id).catch(() => ({}))
          await tx.put({ _id: id, _rev, pair })
        }
      })
    }
  })
  assert.equal(await torn, 0)
  await close([first, second])
})
