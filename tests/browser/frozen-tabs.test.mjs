// A leading tab that is frozen, as browsers freeze tabs in the background: it keeps its lock, and answers nobody.
//
// The process of its page is stopped: that freezes the page, its workers and their timers wherever they are. (Browsers freeze
// a page between two of its tasks. A process can be stopped in the middle of one: if that one is just about to send a
// transaction of IndexedDB, that stays open until the browser aborts it, a minute later. Such a round counts for nothing here.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { freeze, processOf } from '../support/freeze.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** How long the others take to have one among them lead; what is asked of a slow machine is the same. */
const TAKEOVER_MS_MAX = 5000

async function openTab(storage) {
  const page = await profile.open()
  await page.evaluate(async (storage) => {
    window.db = new Firkin('frozen', { storage })
    window.turns = []
    db.on('leader', ({ leading }) => turns.push([leading, performance.timeOrigin + performance.now()]))
    await db.ready
    await db.info()
    window.count = async () => {
      window.counted = 0
      window.counting = true
      window.failures = []
      window.counter = (async () => {
        while (counting) {
          await db
            .transaction(
              async (tx) => {
                const { n, ...rest } = await tx.get('counter')
                await tx.put({ ...rest, n: n + 1 })
              },
              { retries: 1000 },
            )
            .then(
              () => {
                window.counted += 1
              },
              (error) => failures.push(String(error)),
            )
          // A pause, as a process that does nothing but send transactions is mostly stopped in one.
          await new Promise((resolve) => setTimeout(resolve, 10))
          const written = await db.put({ _id: `${counted}-${Math.random()}`, n: counted }).catch(String)
          if (typeof written === 'string') failures.push(written)
        }
      })()
    }
  }, storage)
  return page
}

/** How long it takes until the writes of these tabs go on; nothing if they do not for long. */
async function takeover(tabs) {
  const began = Date.now()
  const counted = () => Promise.all(tabs.map((tab) => tab.evaluate(() => counted)))
  // What the frozen leader has answered arrives yet.
  await pause(200)
  const before = await counted()
  while (Date.now() - began < 2 * TAKEOVER_MS_MAX) {
    await pause(20)
    const now = await counted()
    if (now.every((count, place) => count > before[place])) return Date.now() - began
  }
}

const leads = (page) => page.evaluate(() => turns.at(-1)?.[0])

for (const storage of ['indexeddb', 'opfs']) {
  test(`when the leader is frozen another takes over within 5 s, in the middle of writes to ${storage}, and no write is lost or done twice`, (t) =>
    freezeLeaders(t, storage))
}

async function freezeLeaders(t, storage) {
  const tabs = [await openTab(storage), await openTab(storage), await openTab(storage)]
  const processes = []
  for (const tab of tabs) processes.push(await processOf(tab))
  assert.equal(new Set(processes).size, tabs.length, 'each tab has a process of its own')
  await tabs[0].evaluate(() => db.put({ _id: 'counter', n: 0 }))
  for (const tab of tabs) await tab.evaluate(() => void count())
  const takeovers = []
  for (let round = 0; takeovers.length < 4; round += 1) {
    assert.ok(round < 8, 'a process is seldom stopped in the middle of a transaction')
    await pause(300 + 100 * Math.random())
    const leader = (await Promise.all(tabs.map(leads))).indexOf(true)
    const others = tabs.filter((tab) => tab !== tabs[leader])
    const thaw = freeze(processes[leader])
    try {
      const took_ms = await takeover(others)
      t.diagnostic(took_ms === undefined ? 'stopped in the middle of a transaction' : `taken over after ${took_ms} ms`)
      if (took_ms !== undefined) takeovers.push(took_ms)
    } finally {
      thaw()
    }
    // The one that was frozen follows by itself, and its page's calls go on.
    const before = await tabs[leader].evaluate(() => counted)
    await tabs[leader].waitForFunction((before) => counted > before + 2, before)
    assert.deepEqual((await Promise.all(tabs.map(leads))).filter(Boolean).length, 1)
  }
  assert.ok(Math.max(...takeovers) < TAKEOVER_MS_MAX, `taken over after ${takeovers} ms`)
  const totals = []
  for (const tab of tabs) {
    totals.push(
      await tab.evaluate(async () => {
        window.counting = false
        await counter
        return { counted, failures }
      }),
    )
  }
  assert.deepEqual(
    totals.flatMap(({ failures }) => failures),
    [],
  )
  const { n, documents } = await tabs[0].evaluate(async () => ({
    n: (await db.get('counter')).n,
    documents: (await db.info()).doc_count,
  }))
  const counted = totals.reduce((sum, { counted }) => sum + counted, 0)
  assert.deepEqual({ n, documents }, { n: counted, documents: counted + 1 })
  for (const tab of tabs) await tab.close()
}
