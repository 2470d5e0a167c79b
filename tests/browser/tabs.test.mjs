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

test('calls under way when the leading tab goes away are answered as if it had not: each write takes effect once', async () => {
  const name = 'under way'
  const leaders = [await openTab(name), await openTab(name), await openTab(name)]
  const follower = await openTab(name)
  await follower.evaluate(callWithoutEnd)
  // They wait for their turn in the order in which they came.
  for (const leader of leaders) {
    await leader.evaluate(() => window.leader)
    const before = await follower.evaluate(() => outcomes.length)
    await follower.waitForFunction((before) => outcomes.length > before + 60, before)
    await leader.close()
  }
  await follower.evaluate(() => window.leader)
  const { outcomes, reads, stored } = await follower.evaluate(async () => {
    const goal = outcomes.length + 60
    while (outcomes.length < goal) await new Promise((resolve) => setTimeout(resolve, 1))
    window.writing = false
    await done
    const { rows } = await db.allDocs({ include_docs: true, conflicts: true })
    return { outcomes, reads, stored: Object.fromEntries(rows.map(({ id, doc }) => [id, doc])) }
  })
  assert.deepEqual([...new Set(reads)], ['ok'])
  assert.deepEqual(
    outcomes.filter(({ error }) => error !== undefined),
    [],
  )
  for (const { id, n, rev } of outcomes) {
    const doc = stored[id]
    // The counter has gone on since.
    if (id === 'counter') continue
    if (rev === null) assert.equal(doc, undefined, `${id} was purged or removed`)
    else assert.deepEqual([doc?.n, doc?._rev, doc?._conflicts], [n, rev, undefined], id)
  }
  const { n } = stored.counter
  assert.equal(n, outcomes.filter(({ kind }) => kind === 'transaction').length)
  assert.equal(
    Object.keys(stored).length,
    new Set(outcomes.filter(({ rev }) => rev !== null).map(({ id }) => id)).size + 1,
  )
  await follower.close()
})

/** Runs in a page: lanes of all kinds of writes, each of which waits for its own answer, until `window.writing` is false. */
function callWithoutEnd() {
  Object.assign(window, { outcomes: [], reads: [], writing: true })
  const lane = async (kind, write) => {
    for (let n = 0; writing; n += 1) {
      const id = `${kind}-${n}`
      try {
        const written = await write(id, n)
        outcomes.push({ kind, id, n, rev: written.rev, ...written })
      } catch ({ status, name, reason }) {
        outcomes.push({ kind, id, error: { status, name, reason } })
      }
    }
  }
  const purged = async (id) => {
    const { rev } = await db.put({ _id: id })
    const { deletedRevs, documentWasRemovedCompletely } = await db.purge(id, rev)
    if (!documentWasRemovedCompletely || deletedRevs[0] !== rev) throw new Error('purged something else')
    return { rev: null }
  }
  const attached = async (id, n) => {
    const { rev } = await db.put({ _id: id, n })
    const second = await db.putAttachment(id, 'a', rev, new Blob([`attached to ${id}`]), 'text/plain')
    return db.removeAttachment(id, 'a', second.rev)
  }
  const bulk = async (id, n) => {
    const [row, refused] = await db.bulkDocs([{ _id: id, n }, { _id: 'read' }])
    if (refused.error !== 'conflict') throw new Error(JSON.stringify(refused))
    return row
  }
  const increment = async (tx) => {
    const counter = await tx.get('counter')
    return tx.put({ ...counter, n: counter.n + 1 })
  }
  const chain = { n: -1 }
  window.done = (async () => {
    await db.bulkDocs([
      { _id: 'counter', n: 0 },
      { _id: 'read', n: 0 },
    ])
    const read = async () => {
      while (writing) {
        reads.push(
          await db.get('read').then(
            () => 'ok',
            (error) => String(error),
          ),
        )
      }
    }
    await Promise.all([
      read(),
      lane('put', (id, n) => db.put({ _id: id, n })),
      lane('post', (_, n) => db.post({ n })),
      lane('remove', async (id) => ({ ...(await db.remove(id, (await db.put({ _id: id })).rev)), rev: null })),
      lane('bulk', bulk),
      lane('purge', purged),
      lane('attachment', attached),
      // One document, edit by edit: only the last of them stands.
      lane('chain', async () => {
        const { rev } = await db.put({ _id: 'chain', _rev: chain.rev, n: chain.n + 1 })
        Object.assign(chain, { rev, n: chain.n + 1 })
        outcomes.splice(0, outcomes.length, ...outcomes.filter(({ kind }) => kind !== 'chain'))
        return { id: 'chain', n: chain.n, rev }
      }),
      lane('transaction', async () => {
        await db.transaction(increment, { retries: 100 })
        const { n, _rev: rev } = await db.get('counter')
        return { id: 'counter', n, rev }
      }),
    ])
  })()
}

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
