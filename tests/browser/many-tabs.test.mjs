// Eight tabs write to one database at once, and the leading one is killed again and again, by closing it or by a crash.
//
// In the end every write that was acknowledged is there, once, without a conflict, and a counter that all of them have edited by
// transactions says how often. FIRKIN_LEADER_KILLS sets the number of kills; twenty by default.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { useProfile } from './profile.mjs'

const TABS = 8
const killsOf = {
  indexeddb: Number(process.env.FIRKIN_LEADER_KILLS ?? 20),
  opfs: Number(process.env.FIRKIN_LEADER_KILLS ?? 10),
}
/** How soon another leads: what is asked for of the median, as the machine has other things to do as well. */
const TAKEOVER_MS_MAX = 500

const profile = useProfile()

for (const [storage, kills] of Object.entries(killsOf)) {
  test(`eight tabs write to ${storage} at once, and ${kills} leaders are killed: no write is lost, doubled or in conflict`, (t) =>
    killLeaders(t, storage, kills))
}

async function killLeaders(t, storage, kills) {
  /** What the tabs were told, by name: how far each lane has come. Kept here, as tabs die. */
  const told = new Map()
  const failures = []
  const leaders = []
  let heard = () => {}
  const open = async (name) => {
    const page = await profile.open()
    await page.exposeFunction('tell', (lane, n, rev) => told.set(`${name} ${lane}`, { name, lane, n, rev }))
    await page.exposeFunction('complain', (text) => failures.push(`${name}: ${text}`))
    await page.exposeFunction('lead', () => {
      leaders.push(name)
      heard()
    })
    await page.evaluate(writeWithoutEnd, { storage, name })
    return page
  }
  const tabs = new Map()
  let opened = 0
  const add = async () => {
    opened += 1
    const name = `tab${opened}`
    tabs.set(name, await open(name))
  }
  while (tabs.size < TABS) await add()
  const takeovers = []
  for (let kill = 1; kill <= kills; kill += 1) {
    await pause(100 + 200 * Math.random())
    const name = leaders.at(-1)
    const page = tabs.get(name)
    tabs.delete(name)
    const taken = new Promise((resolve) => {
      heard = resolve
    })
    const began = performance.now()
    if (kill % 2 === 0) await page.close()
    else await crash(page)
    await Promise.race([taken, pause(20_000)])
    assert.notEqual(leaders.at(-1), name, `kill ${kill}: nobody took over`)
    takeovers.push(Math.round(performance.now() - began))
    await add()
  }
  const [someone] = tabs.values()
  for (const page of tabs.values()) await page.evaluate(() => window.finish())
  const stored = await someone.evaluate(async () => {
    const { rows } = await db.allDocs({ include_docs: true, conflicts: true })
    return Object.fromEntries(rows.map(({ id, doc }) => [id, doc]))
  })
  takeovers.sort((one, other) => one - other)
  const median = takeovers[Math.floor(takeovers.length / 2)]
  const acknowledged = [...told.values()]
  const writes = acknowledged.reduce((sum, { n }) => sum + n, 0)
  t.diagnostic(`${writes} writes acknowledged; taken over after ${median} ms (median; all: ${takeovers.join(', ')})`)

  assert.deepEqual(failures, [])
  for (const { name, lane, n, rev } of acknowledged) {
    const alive = tabs.has(name)
    // A tab that died may have had one more write under way in each lane.
    const isThere = (id) => assert.ok(stored[id] !== undefined, `${id} of ${name}, which ${alive ? 'lives' : 'died'}`)
    if (lane === 'edits') {
      const doc = stored[`${name}-edited`]
      assert.ok(doc.n === n || (!alive && doc.n === n + 1), `${name} edited ${n} times, and stored is ${doc.n}`)
      if (doc.n === n) assert.equal(doc._rev, rev)
      assert.match(doc._rev, new RegExp(`^${doc.n}-`), 'each edit is one revision')
    } else if (lane === 'puts') {
      for (let number = 1; number <= n; number += 1) isThere(`${name}-${number}`)
      const more = [1, 2].map((beyond) => stored[`${name}-${n + beyond}`] !== undefined)
      assert.deepEqual(more, alive ? [false, false] : [more[0], false])
    }
  }
  assert.deepEqual(
    Object.values(stored).filter(({ _conflicts }) => _conflicts !== undefined),
    [],
  )
  const increments = acknowledged.filter(({ lane }) => lane === 'increments')
  const sum = increments.reduce((total, { n }) => total + n, 0)
  const { n } = stored.counter
  assert.ok(n >= sum && n <= sum + kills, `${sum} increments were acknowledged, and ${n} counted by ${opened} tabs`)
  // The document says for each tab how often it has counted; of those that live it is known.
  for (const { name, n } of increments) {
    const counted = stored.counter.by[name]
    assert.ok(
      counted === n || (!tabs.has(name) && counted === n + 1),
      `${name} was told of ${n} and counted ${counted}`,
    )
  }
  for (const page of tabs.values()) await page.close()
  assert.ok(median < TAKEOVER_MS_MAX, `taken over after ${median} ms`)
}

/** The page's process ends at once. */
async function crash(page) {
  const crashed = new Promise((resolve) => page.once('crash', resolve))
  const session = await page.context().newCDPSession(page)
  session.send('Page.crash').catch(() => {})
  await crashed
  await page.close()
}

/** Runs in a page: three lanes of writes, each of which waits for its own answer. */
async function writeWithoutEnd({ storage, name }) {
  window.db = new Firkin('many', { storage })
  db.on('leader', ({ leading }) => leading && lead())
  await db.ready
  let goesOn = true
  const lane = async (title, write) => {
    for (let n = 1; goesOn; n += 1) {
      try {
        const { rev } = await write(n)
        await tell(title, n, rev)
      } catch (error) {
        complain(`${title} ${n}: ${error}`)
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  let edited
  const lanes = [
    lane('puts', (n) => db.put({ _id: `${name}-${n}`, n, text: 'written '.repeat(20) })),
    lane('edits', async (n) => {
      const written = await db.put({ _id: `${name}-edited`, _rev: edited, n })
      edited = written.rev
      return written
    }),
    lane('increments', () =>
      db.transaction(
        async (tx) => {
          const counter = await tx.get('counter').catch(({ status }) => {
            if (status === 404) return { _id: 'counter', n: 0, by: {} }
            throw new Error('the counter cannot be read')
          })
          const by = { ...counter.by, [name]: (counter.by[name] ?? 0) + 1 }
          return tx.put({ ...counter, n: counter.n + 1, by })
        },
        { retries: 1000 },
      ),
    ),
  ]
  window.finish = async () => {
    goesOn = false
    await Promise.all(lanes)
  }
}
