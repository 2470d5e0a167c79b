// Tabs that begin the same live replication have a part in one, which the leading tab's engine runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { feedsHeld } from '../support/firkin-server.mjs'
import { useProfile } from './profile.mjs'
import { useGatedServer } from './server.mjs'

const profile = useProfile()
const around = useGatedServer(profile)

/** A database on the server. */
async function create(name) {
  const url = `${around.server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  const put = async (id) => assert.equal((await fetch(`${url}/${id}`, { method: 'PUT', body: '{}' })).status, 201)
  return { url, put, path: `/${name}` }
}

/** Begins a live pull in a tab, with what happens to it in `window.heard`. */
const begin = (page, name, url, options = {}) =>
  page.evaluate(
    async ([name, url, options]) => {
      window.db ??= new Firkin(name)
      window.heard = []
      window.pull = db.replicate.from(url, { live: true, ...options })
      for (const event of ['change', 'paused', 'denied', 'complete', 'error']) pull.on(event, () => heard.push(event))
      await pull.settled()
      return pull.status
    },
    [name, url, options],
  )

/** The leading tab of a database, and two more, all with the same live pull. */
async function threeTabs(name, url, options) {
  const tabs = [await profile.open(), await profile.open(), await profile.open()]
  const states = []
  for (const tab of tabs) states.push(await begin(tab, name, url, options))
  return { tabs, states }
}

const isHere = (id) => db.get(id).then(Boolean, () => false)
const close = (tabs) => Promise.all(tabs.map((tab) => tab.close()))

async function feedsCome(to) {
  const deadline = Date.now() + 20_000
  while ((await feedsHeld(around.server)) !== to) {
    assert.ok(Date.now() < deadline, `there are ${await feedsHeld(around.server)} feeds, and not ${to}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

test('three tabs with the same live pull hold one feed, and each hears of a change', async () => {
  const { url, put } = await create('same')
  await put('before')
  const { tabs, states } = await threeTabs('same', url)
  await feedsCome(1)
  const [first, ...later] = states
  assert.deepEqual([first.state, first.pending], ['idle', 0])
  for (const { state, pending, lastSeq } of later) {
    assert.deepEqual({ state, pending, lastSeq }, { state: 'idle', pending: 0, lastSeq: first.lastSeq })
  }
  await put('after')
  for (const tab of tabs) {
    await eventually(tab, isHere, 'after')
    await eventually(tab, () => heard.includes('change') && pull.status.state === 'idle')
  }
  assert.equal(await feedsHeld(around.server), 1)
  await close(tabs)
})

test('a replication that tabs share goes on until the last of them has cancelled it', async () => {
  const { url, put } = await create('cancelled')
  const { tabs } = await threeTabs('cancelled', url)
  const cancel = (tab) =>
    tab.evaluate(async () => {
      pull.cancel()
      return [(await pull).ok, pull.status.state]
    })
  assert.deepEqual(await cancel(tabs[0]), [false, 'cancelled'])
  assert.deepEqual(await cancel(tabs[1]), [false, 'cancelled'])
  await put('after')
  await eventually(tabs[2], isHere, 'after')
  await eventually(tabs[2], () => heard.includes('change'))
  assert.ok(!(await tabs[0].evaluate(() => heard)).includes('change'), 'who has left hears nothing')
  assert.equal(await feedsHeld(around.server), 1)
  assert.deepEqual(await cancel(tabs[2]), [false, 'cancelled'])
  await feedsCome(0)
  // Who comes after the end begins anew.
  await begin(tabs[0], 'cancelled', url)
  await feedsCome(1)
  await close(tabs)
  await feedsCome(0)
})

test('the tab that began it is closed, leading or not: for the others it goes on', async () => {
  const { url, put } = await create('closed')
  const leader = await profile.open()
  await leader.evaluate(() => {
    window.db = new Firkin('closed')
    return db.ready
  })
  const { tabs } = await threeTabs('closed', url)
  await tabs.shift().close()
  await put('one')
  for (const tab of tabs) await eventually(tab, isHere, 'one')
  await feedsCome(1)
  await leader.close()
  await put('two')
  for (const tab of tabs) await eventually(tab, isHere, 'two')
  for (const tab of tabs) await eventually(tab, () => pull.status.state === 'idle')
  await feedsCome(1)
  await close(tabs)
})

test('who comes later, and settles, has what the peer had, whatever the feed has told yet', async () => {
  const { put } = await create('settled')
  const tabs = [await profile.open(), await profile.open()]
  around.gate.feeds_delay_ms = 500
  await begin(tabs[0], 'settled', `${around.gate.url}/settled`)
  await feedsCome(1)
  await put('before')
  await begin(tabs[1], 'settled', `${around.gate.url}/settled`)
  assert.ok(await tabs[1].evaluate(isHere, 'before'), 'it settled without')
  // The same holds of one that has a feed already.
  await put('later')
  await tabs[0].evaluate(() => pull.settled())
  assert.ok(await tabs[0].evaluate(isHere, 'later'), 'it settled without')
  around.gate.feeds_delay_ms = 0
  await close(tabs)
})

test('what is refused, and the end by an error, reach all who share a replication', async () => {
  const { url } = await create('failing')
  const tabs = [await profile.open(), await profile.open()]
  around.gate.token = 'good'
  const headers = { authorization: 'Bearer good' }
  for (const tab of tabs) {
    await tab.evaluate(() => {
      window.db = new Firkin('failing', { documentBytesMax: 1_000 })
    })
    await begin(tab, 'failing', `${around.gate.url}/failing`, { headers, retry: true })
  }
  await feedsCome(1)
  const body = JSON.stringify({ text: 'x'.repeat(2_000) })
  assert.equal((await fetch(`${url}/long`, { method: 'PUT', body })).status, 201)
  for (const tab of tabs) await eventually(tab, () => heard.includes('denied') && pull.status.state === 'idle')
  around.gate.token = 'of another hour'
  // The feed that is held tells of it, and the next request is refused.
  assert.equal((await fetch(`${url}/after`, { method: 'PUT', body: '{}' })).status, 201)
  for (const tab of tabs) assert.equal(await tab.evaluate(() => pull.then(null, ({ status }) => status)), 401)
  for (const tab of tabs) assert.equal(await tab.evaluate(() => pull.status.state), 'error')
  around.gate.token = undefined
  await close(tabs)
})

test('replications that ask for something else, or by a function, run by themselves', async () => {
  await create('other')
  const tabs = [await profile.open(), await profile.open()]
  const shared = [{}, { doc_ids: ['a'] }, { headers: { 'x-token': 'a' } }]
  around.gate.requests.length = 0
  for (const tab of tabs) {
    await tab.evaluate(
      ([url, shared]) => {
        window.db = new Firkin('other')
        const options = [...shared, ...shared, { headers: () => ({}) }]
        window.pulls = options.map((options) => db.replicate.from(url, { live: true, ...options }))
        return Promise.all(pulls.map((pull) => pull.settled()))
      },
      [`${around.gate.url}/other`, shared],
    )
  }
  // Each begins by asking what the peer is.
  const begun = around.gate.requests.filter((request) => request === 'GET /other/' || request === 'GET /other')
  assert.equal(begun.length, shared.length + tabs.length, around.gate.requests.join('\n'))
  await close(tabs)
})
