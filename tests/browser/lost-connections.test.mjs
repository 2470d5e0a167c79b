// The browser takes the connection to IndexedDB away from the engine while it works.
//
// WebKit does so where the process that keeps the data dies: then the data are there, and everything goes on. All browsers do when
// the data of a site are cleared: then they are gone, every instance ends, and the next one begins with an empty database.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/browser.mjs'
import { faultyWorker, losesConnections } from '../support/faulty-worker.mjs'
import { useProfile } from './profile.mjs'

const ROUNDS = 30

const profile = useProfile(
  { '/faulty/dist/worker.js': faultyWorker(losesConnections) },
  { folders: { '/faulty/': fileURLToPath(new URL('../../js', import.meta.url)) } },
)

/** A tab with the database `name` open, which notes what becomes of it. */
async function openTab(name, build = '/faulty') {
  const page = await profile.open()
  await page.evaluate(
    async ([name, build]) => {
      const { Firkin } = await import(`${build}/dist/index.js`)
      window.ends = []
      window.terms = 0
      window.db = new Firkin(name)
      db.on('closed', ({ reason }) => ends.push(reason))
      db.on('leader', ({ leading }) => {
        window.leading = leading
        window.terms += 1
      })
      await db.ready
    },
    [name, build],
  )
  return page
}

/** Runs in a page: counts, by transactions and by documents, until `stop` is called. */
function count(name) {
  const failures = []
  let counted = 0
  let counting = true
  const noted = (error) => failures.push(String(error))
  const ended = (async () => {
    for (; counting; ) {
      const increment = async (tx) => {
        const { n, ...rest } = await tx.get('counter')
        await tx.put({ ...rest, n: n + 1 })
      }
      await db.transaction(increment, { retries: 1000 }).then(() => counted++, noted)
      await db.put({ _id: `${name}-${counted}`, n: counted }).catch(noted)
      const { docs } = await db.find({ selector: { n: counted, _id: `${name}-${counted}` } }).catch(noted)
      if (docs.length !== 1) noted(`${name}-${counted} is found ${docs.length} times`)
    }
  })()
  window.stop = async () => {
    counting = false
    await ended
    return { counted, failures, ends }
  }
}

test(`a connection that is lost ${ROUNDS} times under a load is made again: each call is answered, each write takes effect once`, async (t) => {
  const names = ['one', 'other']
  const tabs = []
  while (tabs.length < names.length) tabs.push(await openTab('reconnected'))
  const { identity } = await tabs[0].evaluate(async () => {
    await db.put({ _id: 'counter', n: 0 })
    return db.info()
  })
  for (const [place, tab] of tabs.entries()) await tab.evaluate(count, names[place])
  for (let round = 0; round < ROUNDS; round += 1) {
    await pause(30 + 100 * Math.random())
    const terms = await tabs[0].evaluate(() => terms)
    await tabs[0].evaluate(
      (committed) => new BroadcastChannel('lose-connections').postMessage(committed),
      round % 2 === 1,
    )
    await eventually(tabs[0], (terms) => window.terms > terms, terms)
  }
  const totals = []
  for (const tab of tabs) totals.push(await tab.evaluate(() => stop()))
  assert.deepEqual(
    totals.flatMap(({ failures, ends }) => [...failures, ...ends]),
    [],
  )
  const counted = totals.reduce((sum, { counted }) => sum + counted, 0)
  t.diagnostic(`${counted} increments`)
  const stored = await tabs[1].evaluate(async () => ({ ...(await db.info()), n: (await db.get('counter')).n }))
  assert.deepEqual(stored, { ...stored, identity, n: counted, doc_count: counted + 1 })
})

/** What every instance of these tabs says that was open. */
const endsOf = (tabs) =>
  Promise.all(
    tabs.map(async (tab) => {
      await eventually(tab, () => ends.length > 0)
      return tab.evaluate(async () => {
        const { status, code } = await db.get('a').catch((error) => error)
        return { status, code, times: ends.length }
      })
    }),
  )

const CLOSED = { status: 503, code: 'closed', times: 1 }

test('when the data of the site are cleared under two tabs, both end, in the middle of a write, and the next to open is empty', async () => {
  // What is under way may fail before the platform says that it closed the connection, so this is tried some times.
  for (let round = 0; round < 10; round += 1) {
    const name = `evicted-${round}`
    const tabs = [await openTab(name, ''), await openTab(name, '')]
    const { identity } = await tabs[1].evaluate(async () => {
      await db.bulkDocs(Array.from({ length: 200 }, (_, n) => ({ _id: `a${n}`, n })))
      return db.info()
    })
    for (const tab of tabs) {
      await tab.evaluate(() => {
        window.writing = (async () => {
          for (let n = 0; ; n += 1) await db.put({ _id: `b${n}-${Math.random()}` })
        })().catch(({ status, code }) => ({ status, code }))
      })
    }
    await pause(30 + 70 * Math.random())
    const browser = await tabs[0].context().newCDPSession(tabs[0])
    await browser.send('Storage.clearDataForOrigin', { origin: profile.origin, storageTypes: 'indexeddb' })
    assert.deepEqual(await endsOf(tabs), [CLOSED, CLOSED])
    for (const tab of tabs) assert.deepEqual(await tab.evaluate(() => writing), { status: 503, code: 'closed' })
    const next = await openTab(name, '')
    const info = await next.evaluate(async () => db.info())
    assert.deepEqual([info.doc_count, info.doc_del_count], [0, 0])
    assert.notEqual(info.identity, identity)
    await next.evaluate(() => db.put({ _id: 'a' }))
    for (const tab of [...tabs, next]) await tab.close()
  }
})

test('a database that other code deletes is closed for all, and none of its tabs makes another', async () => {
  const tabs = [await openTab('deleted', ''), await openTab('deleted', '')]
  await tabs[0].evaluate(() => db.put({ _id: 'a' }))
  await tabs[0].evaluate(
    () =>
      new Promise((resolve, reject) => {
        const deleting = indexedDB.deleteDatabase('firkin:deleted')
        deleting.onsuccess = resolve
        deleting.onerror = () => reject(deleting.error)
      }),
  )
  assert.deepEqual(await endsOf(tabs), [CLOSED, CLOSED])
  assert.equal(await tabs[0].evaluate(async () => (await Firkin.list()).includes('deleted')), false)
})

test('a database that other code upgrades is closed for the tab that leads, and refused as too new to the others', async () => {
  const tabs = [await openTab('upgraded', ''), await openTab('upgraded', '')]
  await tabs[0].evaluate(() => db.put({ _id: 'a' }))
  await tabs[0].evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('firkin:upgraded', 2)
        opening.onsuccess = () => {
          opening.result.close()
          resolve()
        }
        opening.onerror = () => reject(opening.error)
      }),
  )
  await eventually(tabs[0], () => ends.length > 0)
  const codes = []
  for (const tab of tabs) codes.push(await tab.evaluate(() => db.get('a').catch(({ code }) => code)))
  assert.deepEqual(codes, ['closed', 'format_too_new'])
})
