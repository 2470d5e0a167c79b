// `worker: false`: the engine where the instance is, as in a service worker.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const serviceWorker = `
  import { Firkin } from '/dist/index.js'
  const db = new Firkin('served', { worker: false })
  addEventListener('message', async ({ data, ports: [port] }) => {
    try {
      await db.put(data)
      port.postMessage((await db.get(data._id)).n)
    } catch (error) {
      port.postMessage(String(error))
    }
  })`
const profile = useProfile({ '/service-worker.js': serviceWorker })

test('without a worker a database does the same, and starts none', async () => {
  const page = await profile.open()
  const seen = await page.evaluate(async () => {
    const { Worker: original } = window
    window.Worker = class {
      constructor() {
        throw new Error('a worker was started')
      }
    }
    const db = new Firkin('inside', { worker: false })
    const { rev } = await db.put({ _id: 'a', n: 1 })
    const { docs } = await db.find({ selector: { n: 1 } })
    await db.close()
    window.Worker = original
    const again = new Firkin('inside')
    const kept = await again.get('a')
    await again.close()
    return { rev, found: docs.length, kept }
  })
  assert.deepEqual([seen.found, seen.kept], [1, { _id: 'a', _rev: seen.rev, n: 1 }])
})

test('an instance without a worker and one with share a database', async () => {
  const page = await profile.open()
  const seen = await page.evaluate(async () => {
    const leader = new Firkin('shared', { worker: false })
    await leader.ready
    const follower = new Firkin('shared')
    await follower.put({ _id: 'a', n: 1 })
    await leader.put({ _id: 'b', n: 2 })
    const read = [(await leader.get('a')).n, (await follower.get('b')).n]
    await leader.close()
    read.push((await follower.get('a')).n)
    await follower.close()
    return read
  })
  assert.deepEqual(seen, [1, 2, 1])
})

test('what bundlers take loads the engine when it is asked for, and says where it cannot', async () => {
  // A page that has loaded nothing else.
  const page = await (await profile.open()).context().newPage()
  await page.goto(`${profile.origin}/page`)
  const ask = () =>
    page.evaluate(async () => {
      const { Firkin } = await import('/dist/page.js')
      const db = new Firkin('later', { worker: false })
      const written = db.put({ _id: 'a', n: 1 })
      return written.then(
        async () => (await db.get('a')).n,
        ({ code, reason }) => `${code}: ${reason}`,
      )
    })
  await page.route('**/dist/in-place.js', (route) => route.abort())
  assert.match(await ask(), /^storage_failed: the engine could not be loaded \(a service worker needs/)
  await page.unrouteAll()
  await page.reload()
  assert.equal(await ask(), 1)
})

test('a service worker can hold a database', async () => {
  const page = await profile.open()
  const n = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.register('/service-worker.js', { type: 'module' })
    const worker = registration.installing ?? registration.waiting ?? registration.active
    const { port1, port2 } = new MessageChannel()
    worker.postMessage({ _id: 'a', n: 7 }, [port2])
    const answer = await new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data)
    })
    await registration.unregister()
    return answer
  })
  assert.equal(n, 7)
})
