// Live queries and watches across tabs: the page that follows need not be the one that writes, nor the one that leads.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A tab that has the database open. */
async function openTab(name) {
  const page = await profile.open()
  await page.evaluate(async (name) => {
    window.db = new Firkin(name)
    await db.ready
    await db.info()
  }, name)
  return page
}

/** Has the page follow the query; `window.updates` holds what it was told, `window.docs` the documents by now. */
async function follow(page, query) {
  await page.evaluate((query) => {
    window.updates = []
    window.live = db.live(query)
    window.ended = (async () => {
      for await (const update of live) {
        updates.push(update)
        window.docs = update.docs
      }
      return 'ended'
    })()
  }, query)
  await eventually(page, () => updates.length > 0)
}

/** Whether what the page was told is what `find` answers. */
const isRight = async (query) => {
  const { docs } = await db.find(query)
  return JSON.stringify(docs) === JSON.stringify(window.docs)
}

const put = (page, docs) => page.evaluate((docs) => db.bulkDocs(docs), docs)
const numbered = (count) => Array.from({ length: count }, (_, n) => ({ _id: `n${n}`, n, even: n % 2 === 0 }))
const top = { selector: { even: true }, sort: [{ n: 'desc' }], limit: 5 }

test('a page follows what another writes, with differences that name what became of each document', async () => {
  const [leader, writer, reader] = [await openTab('across'), await openTab('across'), await openTab('across')]
  await put(leader, numbered(30))
  await follow(reader, top)
  assert.equal(await reader.evaluate(isRight, top), true)
  await writer.evaluate(async () => {
    await db.put({ ...(await db.get('n28')), n: 25 })
  })
  await eventually(reader, () => updates.length === 2)
  const [moved, changed] = await reader.evaluate(() => [updates[1].moved, updates[1].changed])
  assert.deepEqual(
    moved.map(({ from, to, id }) => [from, to, id]),
    [[0, 1, 'n28']],
  )
  assert.deepEqual(
    changed.map(({ index, before, doc }) => [index, before.n, doc.n]),
    [[1, 28, 25]],
  )
  // A document that leaves the window lets another in; the others stay the same objects.
  await writer.evaluate(async () => db.remove(await db.get('n26')))
  await eventually(reader, () => updates.length === 3)
  const last = await reader.evaluate(() => ({
    removed: updates[2].removed.map(({ index, id }) => [index, id]),
    added: updates[2].added.map(({ index, id }) => [index, id]),
    same: updates[2].docs.filter((doc) => updates[1].docs.includes(doc)).length,
  }))
  assert.deepEqual(last, { removed: [[0, 'n26']], added: [[4, 'n18']], same: 4 })
  assert.equal(await reader.evaluate(isRight, top), true)
  for (const page of [leader, writer, reader]) await page.close()
})

test('when the leading tab is closed midway, live queries and watches go on, and say what was missed', async () => {
  const [leader, reader, writer] = [await openTab('led'), await openTab('led'), await openTab('led')]
  await put(leader, numbered(40))
  await follow(reader, top)
  await reader.evaluate(() => {
    window.values = []
    db.watch('n7', 'n').subscribe((value) => values.push(value ?? 'none'))
  })
  await eventually(reader, () => values.length === 1)
  const kept = await reader.evaluate(() => {
    window.first = docs[0]
    return updates.length
  })
  // Writes go on without a pause while the lead passes over.
  const writing = writer.evaluate(async () => {
    for (let n = 100; n < 160; n += 1) {
      await db.put({ _id: `w${n}`, n: n % 50, even: true }).catch(({ status }) => {
        if (status !== 503) throw new Error(`a write failed with ${status}`)
      })
    }
    const old = await db.get('n7')
    await db.put({ ...old, n: 'seven' })
  })
  await leader.close()
  await writing
  await eventually(reader, isRight, top)
  await eventually(reader, () => values.at(-1) === 'seven')
  assert.deepEqual(await reader.evaluate(() => values), [7, 'seven'])
  // What is told makes the list: applied one after the other, from nothing.
  const made = await reader.evaluate(() => {
    let list = []
    for (const { docs, added, changed, moved, removed } of updates) {
      const next = new Array(list.length - removed.length + added.length)
      for (const { index, doc } of added) next[index] = doc
      for (const { from, to, doc } of moved) next[to] = from in list ? doc : undefined
      const gone = new Set([...removed.map(({ index }) => index), ...moved.map(({ from }) => from)])
      const rest = list.filter((_, index) => !gone.has(index))
      for (let index = 0; index < next.length; index += 1) if (!(index in next)) next[index] = rest.shift()
      for (const { index, doc } of changed) next[index] = doc
      if (next.some((doc, index) => doc !== docs[index])) return `not ${JSON.stringify(docs)}`
      list = next
    }
    return 'each list'
  })
  assert.equal(made, 'each list')
  // And the next difference comes from the new leader.
  await writer.evaluate(() => db.put({ _id: 'last', n: 1000, even: true }))
  await eventually(reader, () => docs[0]._id === 'last')
  assert.equal(await reader.evaluate(isRight, top), true)
  assert.ok(kept >= 1)
  for (const page of [reader, writer]) await page.close()
})

test('a page that leads on after the leader left cleanly keeps the documents that are the same', async () => {
  const [leader, reader] = [await openTab('handed'), await openTab('handed')]
  await put(leader, numbered(10))
  await follow(reader, { selector: {} })
  await reader.evaluate(() => {
    window.held = [...docs]
  })
  await leader.evaluate(() => db.close())
  await reader.evaluate(async () => {
    // Once these are answered it has been begun anew, which told nothing.
    await db.info()
    await db.find({ selector: {} })
    await db.put({ ...(await db.get('n3')), n: 33 })
  })
  await eventually(reader, () => docs.some(({ n }) => n === 33))
  const { told, same } = await reader.evaluate(() => ({
    told: updates.length,
    same: docs.filter((doc) => held.includes(doc)).length,
  }))
  assert.deepEqual({ told, same }, { told: 2, same: 9 })
  for (const page of [leader, reader]) await page.close()
})

test('a slow reader of another tab gets what was written meanwhile as one difference', async () => {
  const [leader, reader] = [await openTab('slow'), await openTab('slow')]
  await reader.evaluate(() => {
    window.told = []
    db.live({ selector: { n: { $gte: 0 } }, sort: ['n'] }).subscribe(async ({ docs, added, removed }) => {
      told.push([added.length, removed.length, docs.length])
      if (told.length === 1) await new Promise((resolve) => Object.assign(window, { release: resolve }))
    })
  })
  await eventually(reader, () => told.length === 1)
  for (let n = 0; n < 12; n += 1) await put(leader, [{ _id: `n${n}`, n }])
  await leader.evaluate(async () => db.remove(await db.get('n4')))
  await reader.evaluate(() => release())
  await eventually(reader, () => told.length === 2)
  assert.deepEqual(await reader.evaluate(() => told), [
    [0, 0, 0],
    [11, 0, 11],
  ])
  for (const page of [leader, reader]) await page.close()
})

test('a bulk that is too large to wait in memory is told all the same', async () => {
  const [leader, reader] = [await openTab('bulk'), await openTab('bulk')]
  await follow(reader, top)
  await leader.evaluate(async () => {
    const docs = Array.from({ length: 12_000 }, (_, n) => ({ _id: `b${n}`, n, even: true }))
    await db.bulkDocs(docs)
  })
  await eventually(reader, () => docs[0]?.n === 11_999)
  assert.equal(await reader.evaluate(isRight, top), true)
  for (const page of [leader, reader]) await page.close()
})

test('a tab that is gone is followed for no longer, and closing ends what a page follows', async () => {
  const [leader, gone, reader] = [await openTab('gone'), await openTab('gone'), await openTab('gone')]
  await put(leader, numbered(3))
  await follow(gone, { selector: {} })
  await follow(reader, { selector: {} })
  await gone.close()
  await put(leader, [{ _id: 'later', n: 1 }])
  await eventually(reader, () => docs.length === 4)
  assert.equal(await reader.evaluate(() => db.close().then(() => ended)), 'ended')
  await follow(leader, { selector: {} })
  assert.equal(await leader.evaluate(() => db.close().then(() => ended)), 'ended')
  for (const page of [leader, reader]) await page.close()
})

test('what is followed fails in all tabs when one destroys the database', async () => {
  const tabs = [await openTab('destroyed'), await openTab('destroyed')]
  for (const tab of tabs) {
    await follow(tab, top)
    await tab.evaluate(() => {
      // Unhandled until it is looked at.
      ended.catch(() => {})
      window.failed = new Promise((failed) => db.watch('a').subscribe(() => {}, failed))
    })
  }
  await tabs[1].evaluate(() => db.destroy())
  for (const tab of tabs) {
    const failures = await tab.evaluate(async () => {
      const errors = [await ended.catch((error) => error), await failed]
      return errors.map(({ status, name }) => [status, name])
    })
    assert.deepEqual(failures, [
      [503, 'closed'],
      [503, 'closed'],
    ])
    await tab.close()
  }
})

test('a subscriber that throws is an uncaught error, and hears of the next value', async () => {
  const page = await openTab('throws')
  page.removeAllListeners('pageerror')
  const uncaught = []
  page.on('pageerror', (error) => uncaught.push(error.message))
  await page.evaluate(() => {
    window.told = []
    db.watch('a', 'n').subscribe((value) => {
      told.push(value ?? 'none')
      throw new Error(`thrown at ${value}`)
    })
    db.live({ selector: { n: { $odd: 1 } } }).subscribe(() => {})
  })
  await eventually(page, () => told.length === 1)
  await put(page, [{ _id: 'a', n: 1 }])
  await eventually(page, () => told.length === 2)
  assert.deepEqual(uncaught.sort(), ['invalid_operator: Invalid operator: $odd', 'thrown at 1', 'thrown at undefined'])
  await page.close()
})
