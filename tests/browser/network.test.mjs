// Live replications of a page whose network goes away, falls silent, or becomes another: they tell so, and go on at once when it
// is back, without waiting for the limit of a request (60 s) or the next attempt.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { feedsHeld, startFirkinServer } from '../support/firkin-server.mjs'
import { startNetwork } from '../support/network.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()
let folder
let server
let network
let page

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-network-'))
  page = await profile.open()
  server = await startFirkinServer({ data: folder, origin: profile.origin })
  network = await startNetwork(server.url)
})
after(async () => {
  await network?.stop()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A live sync in the page, in which all has moved; the URL is the server's own. */
async function syncing(name) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  await page.evaluate(
    async ([name, url]) => {
      window.db = new Firkin(name)
      await db.put({ _id: 'first' })
      window.sync = db.sync(url, { live: true, retry: true })
      window.paused = []
      sync.on('paused', (error) => paused.push(error?.code ?? 'up to date'))
      await sync.settled()
    },
    [name, `${network.url}/${name}`],
  )
  return url
}

const put = (url, id) => fetch(`${url}/${id}`, { method: 'PUT', body: '{}' })
const isHere = (id) => db.get(id).catch(() => false)

async function end() {
  await page.evaluate(async () => {
    sync.cancel()
    await sync
    await db.destroy()
  })
}

test('a page that is offline pauses its replications, counts what waits, and syncs at once when it is back', async () => {
  const url = await syncing('offline')
  await profile.context.setOffline(true)
  await eventually(page, () => sync.pull.status.state === 'offline')
  await page.evaluate(async () => {
    for (const _id of ['a', 'b', 'c']) await db.put({ _id })
  })
  await eventually(page, () => sync.push.status.pending === 3)
  assert.ok((await page.evaluate(() => paused)).includes('network_failed'))
  assert.equal(await page.evaluate(() => sync.status.error.code), 'network_failed')
  await put(url, 'theirs')
  await profile.context.setOffline(false)
  await eventually(page, isHere, 'theirs')
  await page.evaluate(() => sync.settled())
  assert.equal(await page.evaluate(() => sync.status.pending), 0)
  const { total_rows } = await (await fetch(`${url}/_all_docs`)).json()
  assert.equal(total_rows, 5)
  await end()
})

test('a sync whose connections are dead goes on when the browser says that it is online', async () => {
  const url = await syncing('online')
  network.fallSilent()
  await page.evaluate(() => db.put({ _id: 'waits' }))
  await put(url, 'theirs')
  network.comeBack()
  // The old connections say nothing, and would not for a minute.
  await page.waitForTimeout(1_500)
  assert.equal(await page.evaluate(isHere, 'theirs'), false)
  await page.evaluate(() => window.dispatchEvent(new Event('online')))
  await eventually(page, isHere, 'theirs')
  await page.evaluate(() => sync.settled())
  assert.equal((await fetch(`${url}/waits`)).status, 200)
  await end()
})

test('a sync whose connections are dead goes on when its page is shown again', async () => {
  const url = await syncing('shown')
  network.fallSilent()
  await put(url, 'theirs')
  network.comeBack()
  const other = await profile.open()
  await page.waitForTimeout(1_500)
  assert.equal(await page.evaluate(isHere, 'theirs'), false)
  await other.close()
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
  await eventually(page, isHere, 'theirs')
  await end()
})

test('a server that was away, and has nothing new when it is back, is told as back', async () => {
  const url = `${server.url}/away`
  const { port } = new URL(url)
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  await page.evaluate(async (url) => {
    window.db = new Firkin('away')
    window.sync = db.replicate.from(url, { live: true, retry: true })
    window.failures = 0
    sync.on('paused', (error) => {
      if (error) failures += 1
    })
    await sync.settled()
  }, `${network.url}/away`)
  while ((await feedsHeld(server)) === 0) await page.waitForTimeout(25)
  await server.stop()
  await eventually(page, () => failures > 2)
  assert.equal(await page.evaluate(() => sync.status.state), 'offline')
  server = await startFirkinServer({ data: folder, origin: profile.origin, port })
  await eventually(page, () => sync.status.state === 'idle' && sync.status.error === undefined)
  await page.evaluate(() => sync.settled())
  // It is live as before.
  await put(url, 'theirs')
  await eventually(page, isHere, 'theirs')
  await end()
})
