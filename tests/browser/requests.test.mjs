// How many requests replications between Firkin in a page and our server take, counted before a server to which each request takes
// 50 ms.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { startGate } from '../support/gate.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()
let folder
let server
let gate
let page

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-requests-'))
  page = await profile.open()
  server = await startFirkinServer({ data: folder, origin: profile.origin })
  gate = await startGate(server.url, { origin: profile.origin, delay_ms: 50 })
})
after(async () => {
  await gate?.stop()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A database on the server with so many documents; its URL behind the gate. */
async function newPeer(name, documents = 0) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  for (let start = 0; start < documents; start += 1000) {
    const docs = Array.from({ length: 1000 }, (_, n) => ({ _id: `d${start + n}`, n, text: 'x'.repeat(n % 700) }))
    const headers = { 'content-type': 'application/json' }
    await fetch(`${url}/_bulk_docs`, { method: 'POST', headers, body: JSON.stringify({ docs }) })
  }
  return `${gate.url}/${name}`
}

/** What was asked meanwhile. */
async function counted(t, what, work) {
  gate.requests.length = 0
  await work()
  const requests = [...gate.requests]
  t.diagnostic(`${what}: ${requests.length} requests`)
  return requests
}

/** Replicates once; how many documents were written. */
const replicate = (direction, name, url) =>
  page.evaluate(
    async ([direction, name, url]) => {
      const db = new Firkin(name)
      const { docs_written } = await db.replicate[direction](url)
      await db.close()
      return docs_written
    },
    [direction, name, url],
  )

test('a pull of 1,000 documents takes at most 9 requests, and one of nothing new 3', async (t) => {
  const url = await newPeer('pulled', 1000)
  const pull = async (documents) => assert.equal(await replicate('from', 'pulled', url), documents)
  const first = await counted(t, 'pull of 1,000', () => pull(1000))
  assert.ok(first.length <= 9, first.join('\n'))
  const second = await counted(t, 'pull of nothing new', () => pull(0))
  assert.ok(second.length <= 3, second.join('\n'))
})

test('a push of 1,000 documents takes at most 6 requests, and one of nothing new 3', async (t) => {
  const url = await newPeer('pushed')
  await page.evaluate(async () => {
    const db = new Firkin('pushed')
    await db.bulkDocs(Array.from({ length: 1000 }, (_, n) => ({ _id: `d${n}`, n })))
    await db.close()
  })
  const push = async (documents) => assert.equal(await replicate('to', 'pushed', url), documents)
  const first = await counted(t, 'push of 1,000', () => push(1000))
  assert.ok(first.length <= 6, first.join('\n'))
  const second = await counted(t, 'push of nothing new', () => push(0))
  assert.ok(second.length <= 3, second.join('\n'))
})

test('a pull of 10,000 documents takes fewer than 40 requests', async (t) => {
  const url = await newPeer('many', 10_000)
  const pull = async () => assert.equal(await replicate('from', 'many', url), 10_000)
  const requests = await counted(t, 'pull of 10,000', pull)
  assert.ok(requests.length < 40, requests.join('\n'))
})

test('twenty live writes 50 ms apart take at most 25 requests', async (t) => {
  const url = await newPeer('spaced')
  const requests = await counted(t, '20 spaced live writes', async () => {
    const written = await page.evaluate(async (url) => {
      const db = new Firkin('spaced')
      const push = db.replicate.to(url, { live: true })
      await push.settled()
      for (let n = 0; n < 20; n += 1) {
        await db.put({ _id: `d${n}` })
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      await push.settled()
      push.cancel()
      const { docs_written } = await push
      await db.destroy()
      return docs_written
    }, url)
    assert.equal(written, 20)
  })
  assert.ok(requests.length <= 25, requests.join('\n'))
})

test('a live edit of one Firkin is at another after one request of each', async (t) => {
  const url = await newPeer('live')
  const other = await profile.open()
  const begin = (page, name) =>
    page.evaluate(
      async ([name, url]) => {
        window.db = new Firkin(name)
        window.sync = db.sync(url, { live: true })
        window.checkpoints = []
        sync.on('checkpoint', ({ direction }) => checkpoints.push(direction))
        await sync.settled()
      },
      [name, url],
    )
  await begin(page, 'live one')
  await page.evaluate(async () => {
    window.rev = (await db.put({ _id: 'a', n: 0 })).rev
    await sync.settled()
  })
  await begin(other, 'live other')
  // Both rest, and have written down where they are.
  await eventually(page, () => ['push', 'pull'].every((direction) => checkpoints.includes(direction)))
  await eventually(other, () => ['push', 'pull'].every((direction) => checkpoints.includes(direction)))
  const requests = await counted(t, 'a live edit', async () => {
    await page.evaluate(() => db.put({ _id: 'a', _rev: rev, n: 1 }))
    await eventually(other, () => db.get('a').then(({ n }) => n === 1))
  })
  const asked = (part) => requests.filter((request) => request.includes(part)).length
  assert.equal(asked('_bulk_docs'), 1, requests.join('\n'))
  assert.ok(asked('_bulk_get') <= 1, requests.join('\n'))
  // Of the feed, which has waited, each asks for what comes next.
  assert.ok(requests.length - asked('_changes') <= 2, requests.join('\n'))
  await other.close()
})
