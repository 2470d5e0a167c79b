// Several tabs, one database: one leads, and when it goes away another does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A tab that has the database open; whether it leads is kept in `window.leading`. */
async function openTab(name) {
  const page = await profile.open()
  await page.evaluate(async (name) => {
    window.db = new Firkin(name)
    window.ended = new Promise((resolve) => db.on('closed', ({ reason }) => resolve(reason)))
    window.leader = new Promise((resolve) => db.on('leader', ({ leading }) => leading && resolve()))
    db.on('leader', ({ leading }) => {
      window.leading = leading
    })
    await db.ready
    // The event follows the opening.
    await db.info()
  }, name)
  return page
}

const leads = (page) => page.evaluate(() => window.leading)
const put = (page, doc) => page.evaluate((doc) => db.put(doc), doc)
const get = (page, id) => page.evaluate((id) => db.get(id), id)

test('the first tab leads, the others read and write through it, and each hears of the others', async () => {
  const [first, second, third] = [await openTab('three'), await openTab('three'), await openTab('three')]
  assert.deepEqual([await leads(first), await leads(second), await leads(third)], [true, false, false])
  await third.evaluate(() => {
    window.heard = []
    db.changes({ since: 'now', live: true }).on('change', ({ id }) => heard.push(id))
    return db.info()
  })
  await put(first, { _id: 'by first', n: 1 })
  await put(second, { _id: 'by second', n: 2 })
  assert.equal((await get(second, 'by first')).n, 1)
  assert.equal((await get(first, 'by second')).n, 2)
  await third.waitForFunction(() => heard.length === 2)
  const error = await second.evaluate(() => db.put({ _id: 'by first' }).catch(({ status, name }) => ({ status, name })))
  assert.deepEqual(error, { status: 409, name: 'conflict' })
  for (const page of [first, second, third]) await page.close()
})

test('when the leading tab is closed another leads, with all that was written, and feeds go on', async () => {
  const [first, second, third] = [await openTab('passed on'), await openTab('passed on'), await openTab('passed on')]
  await put(first, { _id: 'before', n: 1 })
  await third.evaluate(() => {
    window.heard = []
    db.changes({ live: true }).on('change', ({ id }) => heard.push(id))
  })
  await first.close()
  await Promise.race([second, third].map((page) => page.evaluate(() => window.leader)))
  assert.equal((await get(second, 'before')).n, 1)
  await put(second, { _id: 'after', n: 2 })
  assert.equal((await get(third, 'after')).n, 2)
  await third.waitForFunction(() => heard.includes('after'))
  assert.deepEqual([await leads(second), await leads(third)].sort(), [false, true])
  for (const page of [second, third]) await page.close()
})

test('calls under way when the leading tab is closed settle, reads with their answer, writes once', async () => {
  const [leader, follower] = [await openTab('under way'), await openTab('under way')]
  await put(leader, { _id: 'read', n: 1 })
  await follower.evaluate(() => {
    window.outcomes = []
    window.reads = []
    window.writing = true
    const write = async (lane) => {
      for (let n = 0; writing; n += 1) {
        const outcome = await db.put({ _id: `${lane}-${n}`, n }).then(
          () => 'ok',
          ({ status, name, reason }) => ({ status, name, reason }),
        )
        outcomes.push([`${lane}-${n}`, outcome])
      }
    }
    const read = async () => {
      while (writing)
        reads.push(
          await db.get('read').then(
            ({ n }) => n,
            (error) => String(error),
          ),
        )
    }
    window.done = Promise.all([write('a'), write('b'), write('c'), read()])
  })
  await follower.waitForFunction(() => outcomes.length > 20)
  await leader.close()
  await follower.evaluate(() => window.leader)
  const { outcomes, reads, stored } = await follower.evaluate(async () => {
    const goal = outcomes.length + 20
    while (outcomes.length < goal) await new Promise((resolve) => setTimeout(resolve, 1))
    window.writing = false
    await done
    const { rows } = await db.allDocs()
    return { outcomes, reads, stored: Object.fromEntries(rows.map(({ id, value }) => [id, value.rev])) }
  })
  assert.deepEqual([...new Set(reads)], [1])
  for (const [id, outcome] of outcomes) {
    if (outcome === 'ok') assert.match(stored[id] ?? 'lost', /^1-/, id)
    else assert.deepEqual([outcome.status, outcome.name], [503, 'closed'], `${id}: ${outcome.reason}`)
  }
  assert.ok(outcomes.filter(([, outcome]) => outcome !== 'ok').length <= 3)
  await follower.close()
})

test('a leader that closes its database hands everything over: no call of the others fails', async () => {
  const [leader, follower] = [await openTab('handed over'), await openTab('handed over')]
  // Ten lanes of calls without a pause, so that some reach the leader while it leaves.
  const writing = follower.evaluate(async () => {
    const failed = []
    let written = 0
    const lane = async (name) => {
      for (let n = 0, more = 20; more > 0; n += 1) {
        await db.put({ _id: `${name}-${n}` }).catch(({ reason }) => failed.push(reason))
        written += 1
        if (window.leading) more -= 1
      }
    }
    await Promise.all(Array.from({ length: 10 }, (_, name) => lane(name)))
    return { failed, written, ...(await db.info()) }
  })
  await leader.evaluate(async () => {
    while ((await db.info()).doc_count < 20) await new Promise((resolve) => setTimeout(resolve, 1))
    await db.close()
  })
  const { failed, written, doc_count } = await writing
  assert.deepEqual(failed, [])
  assert.equal(doc_count, written)
  for (const page of [leader, follower]) await page.close()
})

test('a tab that destroys the database destroys it for all, whether it leads or not', async () => {
  for (const by of [0, 1]) {
    const tabs = [await openTab('destroyed'), await openTab('destroyed')]
    await put(tabs[0], { _id: 'a', n: 1 })
    await tabs[by].evaluate(() => db.destroy())
    for (const tab of tabs) {
      assert.match(await tab.evaluate(() => window.ended), /destroyed/)
      const error = await tab.evaluate(() => db.get('a').catch(({ status, reason }) => ({ status, reason })))
      assert.equal(error.status, 503)
      assert.match(error.reason, /destroyed/)
    }
    assert.deepEqual(await tabs[0].evaluate(() => Firkin.list().then((names) => names.includes('destroyed'))), false)
    const anew = await openTab('destroyed')
    assert.equal((await anew.evaluate(() => db.info())).doc_count, 0)
    for (const page of [...tabs, anew]) await page.close()
  }
})

test('what a tab asks is refused with 409 and not lost when two tabs write the same document', async () => {
  const tabs = [await openTab('race'), await openTab('race')]
  await put(tabs[0], { _id: 'd', n: 0 })
  const increments = await Promise.all(
    tabs.map((tab) =>
      tab.evaluate(async () => {
        let refused = 0
        for (let done = 0; done < 25; ) {
          const doc = await db.get('d')
          await db.put({ ...doc, n: doc.n + 1 }).then(
            () => {
              done += 1
            },
            ({ status }) => {
              if (status !== 409) throw new Error(`status ${status}`)
              refused += 1
            },
          )
        }
        return refused
      }),
    ),
  )
  assert.equal((await get(tabs[1], 'd')).n, 50, `refused: ${increments}`)
  for (const page of tabs) await page.close()
})
