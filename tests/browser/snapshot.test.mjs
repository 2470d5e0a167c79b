// A fresh database that begins with the snapshot of the real server.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { useProfile } from './profile.mjs'

const DOCUMENTS = 10_000

const profile = useProfile()
let folder
let server
let page

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-snapshot-'))
  page = await profile.open()
  server = await startFirkinServer({ data: join(folder, 'data'), origin: profile.origin })
})
after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A database of many documents on the server; its URL. */
async function filledPeer(name) {
  const url = `${server.url}/${name}`
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
  for (let from = 0; from < DOCUMENTS; from += 1_000) {
    const docs = Array.from({ length: 1_000 }, (_, place) => {
      const n = from + place
      return { _id: `d${String(n).padStart(5, '0')}`, n, kind: `k${n % 17}`, tags: [`t${n % 5}`, `t${n % 7}`] }
    })
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ docs })
    assert.equal((await fetch(`${url}/_bulk_docs`, { method: 'POST', headers, body })).status, 201)
  }
  return url
}

for (const storage of ['indexeddb', 'opfs']) {
  test(`a fresh database over ${storage} begins with the snapshot, answers by its index and goes on live`, async () => {
    const peer = await filledPeer(`wines-${storage}`)
    const seen = await page.evaluate(
      async ({ url, storage }) => {
        const db = new Firkin(`snapshot ${storage}`, { storage })
        const paths = []
        const counted = (input, init) => {
          paths.push(new URL(input instanceof Request ? input.url : input).pathname.split('/').at(-1))
          return fetch(input, init)
        }
        const sync = db.sync(url, { live: true, retry: true, fetch: counted })
        await sync.settled()
        const first = [...paths]
        const all = (await db.allDocs({ include_docs: true })).rows.map(({ doc }) => doc)
        const wrong = []
        for (const [selector, holds] of [
          [{ n: { $gte: 4_990, $lt: 5_010 } }, ({ n }) => n >= 4_990 && n < 5_010],
          [{ kind: 'k3' }, ({ kind }) => kind === 'k3'],
          [{ tags: { $all: ['t1', 't3'] } }, ({ tags = [] }) => tags.includes('t1') && tags.includes('t3')],
        ]) {
          const { docs } = await db.find({ selector })
          const ids = JSON.stringify(docs.map(({ _id }) => _id).sort())
          if (ids !== JSON.stringify(all.filter(holds).map(({ _id }) => _id))) wrong.push(selector)
        }
        const until = async (holds) => {
          for (let left = 500; left > 0; left -= 1) {
            if (await holds()) return true
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
          return false
        }
        const headers = { 'content-type': 'application/json' }
        await db.put({ _id: `from here ${storage}`, kind: 'k3' })
        const wentOut = await until(async () => (await fetch(`${url}/from%20here%20${storage}`)).ok)
        await fetch(`${url}/from%20there%20${storage}`, { method: 'PUT', headers, body: '{"kind":"k3"}' })
        const cameIn = await until(
          async () => (await db.find({ selector: { _id: `from there ${storage}` } })).docs.length > 0,
        )
        sync.cancel()
        await sync
        await db.close()
        const again = new Firkin(`snapshot ${storage}`, { storage })
        const { doc_count } = await again.info()
        await again.destroy()
        return { first, counts: [all.length, doc_count], wrong, live: [wentOut, cameIn] }
      },
      { url: peer, storage },
    )
    const there = await (await fetch(peer)).json()
    assert.equal(seen.first.filter((name) => name === '_snapshot').length, 1)
    assert.ok(seen.first.length < 40)
    assert.ok(!seen.first.includes('_bulk_get') && !seen.first.includes('_revs_diff'), seen.first.join(' '))
    assert.equal(seen.counts[0], DOCUMENTS)
    assert.equal(seen.counts[1], there.doc_count)
    assert.deepEqual(seen.wrong, [])
    assert.deepEqual(seen.live, [true, true])
  })
}
