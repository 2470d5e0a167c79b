// What the platform does to an app: it runs out of room, it throws stored data away, a peer falls silent.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A session of the browser's own protocol, for what no page can do. */
const protocol = async (page) => page.context().newCDPSession(page)

/**
 * What the browser's protocol calls the data of each storage, for how many bytes there is room in it, and how many documents of
 * 1.2 KB are too many then. (Chromium sets a megabyte apart for each file that is written to.)
 */
const storages = {
  indexeddb: { storageTypes: 'indexeddb', quotaSize: 1_000_000, many: 2000 },
  opfs: { storageTypes: 'file_systems', quotaSize: 8_000_000, many: 8000 },
}

for (const [storage, { storageTypes, quotaSize, many }] of Object.entries(storages)) {
  test(`a write for which there is no room in ${storage} is refused with 507, leaves nothing behind, and goes through once there is`, async () => {
    const page = await profile.open()
    const { origin } = profile
    const browser = await protocol(page)
    // Before anything is stored: the browser remembers for a while how much room there is.
    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize })
    await page.evaluate(
      async ([storage, many]) => {
        window.db = new Firkin('full', { storage })
        await db.put({ _id: 'before', n: 1 })
        // Text that does not compress.
        const random = () => Array.from({ length: 8 }, () => Math.random().toString(36).slice(2)).join('')
        window.large = Array.from({ length: many }, (_, n) => ({
          _id: `large${n}`,
          text: Array.from({ length: 14 }, random).join(''),
        }))
      },
      [storage, many],
    )
    const refused = await page.evaluate(() =>
      db.bulkDocs(large).then(
        () => 'written',
        ({ status, name }) => ({ status, name }),
      ),
    )
    assert.deepEqual(refused, { status: 507, name: 'quota_exceeded' })
    const left = await page.evaluate(async () => (await db.allDocs()).rows.map(({ id }) => id))
    assert.deepEqual(left, ['before'])

    await browser.send('Storage.overrideQuotaForOrigin', { origin })
    const rows = await page.evaluate(async () => (await db.bulkDocs(large)).filter(({ ok }) => ok).length)
    assert.equal(rows, many)
    const keys = ['before', 'large0', `large${many - 1}`]
    const found = await page.evaluate(async (keys) => (await db.allDocs({ keys })).rows, keys)
    assert.equal(found.filter(({ value }) => value.rev).length, 3)
    await page.evaluate(() => db.destroy())
  })

  test(`when the browser throws the data of the site away, the app hears that its database in ${storage} is closed`, async () => {
    const page = await profile.open()
    await page.evaluate(async (storage) => {
      window.cleared = new Firkin('cleared', { storage })
      window.lost = false
      cleared.on('closed', () => {
        lost = true
      })
      await cleared.put({ _id: 'a' })
    }, storage)
    const browser = await protocol(page)
    await browser.send('Storage.clearDataForOrigin', { origin: profile.origin, storageTypes })
    await eventually(page, () => lost)
    const status = await page.evaluate(() => cleared.get('a').then(String, (error) => error.status))
    assert.equal(status, 503)
    const fresh = await page.evaluate(async (storage) => {
      const db = new Firkin('cleared', { storage })
      await db.put({ _id: 'b' })
      return (await db.info()).doc_count
    }, storage)
    assert.equal(fresh, 1)
  })
}

/** A peer that begins its answers and never ends them; it counts the requests, and those that the other side gave up. */
async function startSilentPeer() {
  const peer = { requests: 0, givenUp: 0 }
  const server = createServer((_request, response) => {
    peer.requests += 1
    response.on('close', () => {
      peer.givenUp += 1
    })
    response.writeHead(200, { 'access-control-allow-origin': '*', 'content-type': 'application/json' })
    response.write('{"cou')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  peer.url = `http://127.0.0.1:${server.address().port}/silent`
  peer.stop = () => {
    server.closeAllConnections()
    server.close()
  }
  return peer
}

const soon = async (holds) => {
  for (let waited = 0; !holds(); waited += 20) {
    assert.ok(waited < 10_000, `did not come true: ${holds}`)
    await pause(20)
  }
}

test('a cancelled replication lets go of the request that it waits for', async (context) => {
  const page = await profile.open()
  const peer = await startSilentPeer()
  context.after(peer.stop)
  await page.evaluate((url) => {
    window.pull = new Firkin('patient', { storage: 'memory' }).replicate.from(url)
  }, peer.url)
  await soon(() => peer.requests > 0)
  const ended = await page.evaluate(async () => {
    pull.cancel()
    return (await pull).ok
  })
  assert.equal(ended, false)
  await soon(() => peer.givenUp === peer.requests)
})

test('a peer that falls silent in the midst of an answer is given up after the idle timeout', async (context) => {
  const page = await profile.open()
  const peer = await startSilentPeer()
  context.after(peer.stop)
  const failure = await page.evaluate(async (url) => {
    const { default: init, Engine } = await import('/dist/wasm-glue/engine.js')
    await init({ module_or_path: '/firkin.wasm' })
    const engine = await Engine.open('idle', '{"storage":"memory"}', {
      event() {},
      ask: async () => '{}',
      fetch: (_replication, url, init) => fetch(url, init),
    })
    const payload = { id: 1, direction: 'pull', url, idle_timeout_ms: 100 }
    return engine.call('replicate', new TextEncoder().encode(JSON.stringify(payload))).catch((failure) => failure)
  }, peer.url)
  assert.deepEqual([failure.status, failure.name], [0, 'network_failed'])
  assert.match(failure.reason, /did not answer in time/)
  await soon(() => peer.givenUp === peer.requests)
})
