// Replication as the app holds it, against the real server: handles, their events, credentials and tabs.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()
const credentials = `Basic ${btoa('cellar:oak and chestnut')}`
let folder
let open
let guarded
let page

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-peers-'))
  page = await profile.open()
  const { origin } = profile
  open = await startFirkinServer({ data: join(folder, 'open'), origin })
  guarded = await startFirkinServer({ data: join(folder, 'guarded'), origin, admin: 'cellar:oak and chestnut' })
})
after(async () => {
  await open?.stop()
  await guarded?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A new database on a server; its URL. */
async function newPeer(name, server = open) {
  const url = `${server.url}/${name}`
  const headers = server === guarded ? { authorization: credentials } : {}
  assert.equal((await fetch(url, { method: 'PUT', headers })).status, 201)
  return url
}
const idsAt = async (url) => (await (await fetch(`${url}/_all_docs`)).json()).rows.map(({ id }) => id)

/** Waits until the peer holds the document. */
async function arrives(url, id, patience_ms = 10_000) {
  const deadline = Date.now() + patience_ms
  while (!(await idsAt(url)).includes(id)) {
    assert.ok(Date.now() < deadline, `${id} did not arrive at ${url}`)
    await pause(20)
  }
}

test('long attachments go to a peer and come back byte by byte', async () => {
  const same = await page.evaluate(
    async (peer) => {
      const content = new Uint8Array(3_000_000).map((_, place) => (place * place) >> 7)
      const one = new Firkin('long there')
      const { rev } = await one.put({ _id: 'film' })
      await one.putAttachment('film', 'reel 1/2', rev, new Blob([content]), 'video/none')
      const pushed = await one.replicate.to(peer)
      const other = new Firkin('long back')
      const pulled = await other.replicate.from(peer)
      const blob = await other.getAttachment('film', 'reel 1/2')
      const bytes = new Uint8Array(await blob.arrayBuffer())
      await one.destroy()
      await other.destroy()
      const isSame = bytes.length === content.length && bytes.every((byte, place) => byte === content[place])
      return [isSame, blob.type, pushed.docs_written, pulled.docs_written, pulled.doc_write_failures]
    },
    await newPeer('long'),
  )
  assert.deepEqual(same, [true, 'video/none', 1, 1, 0])
})

test('documents go to a peer and come back into another database, and the handles tell of it', async () => {
  const seen = await page.evaluate(
    async (peer) => {
      const one = new Firkin('pushed')
      await one.bulkDocs(Array.from({ length: 30 }, (_, n) => ({ _id: `d${n}`, n })))
      const push = one.replicate.to(peer)
      const told = []
      push.on('change', ({ direction, documents }) => told.push([direction, documents]))
      const completed = new Promise((resolve) => push.on('complete', resolve))
      const pushed = await push
      const other = new Firkin('pulled')
      const iterated = []
      const pull = other.replicate.from(peer, { doc_ids: ['d3', 'd7'] })
      for await (const { documents } of pull) iterated.push(documents)
      const part = await other.allDocs()
      const [repeated, all] = [await one.replicate.to(peer), await other.replicate.from(new URL(peer))]
      const revs = async (db) => (await db.allDocs()).rows.map(({ value }) => value.rev)
      const same = JSON.stringify(await revs(one)) === JSON.stringify(await revs(other))
      const status = push.status
      await one.destroy()
      await other.destroy()
      return {
        told,
        pushed,
        completed: await completed,
        status,
        iterated,
        part: part.rows.map(({ id }) => id),
        repeated,
        all,
        same,
      }
    },
    await newPeer('both-ways'),
  )
  const count = (documents) => documents.reduce((sum, next) => sum + next, 0)
  assert.deepEqual([...new Set(seen.told.map(([direction]) => direction))], ['push'])
  assert.equal(count(seen.told.map(([, documents]) => documents)), 30)
  const { ok, docs_written, doc_write_failures } = seen.pushed
  assert.deepEqual([ok, docs_written, doc_write_failures], [true, 30, 0])
  assert.deepEqual(seen.completed, seen.pushed)
  assert.deepEqual([seen.status.state, seen.status.written, seen.status.error], ['complete', 30, undefined])
  assert.ok(seen.status.bytesWritten > 0 && seen.status.bytesRead > 0)
  assert.deepEqual([count(seen.iterated), seen.part], [2, ['d3', 'd7']])
  assert.deepEqual([seen.repeated.docs_written, seen.all.docs_written, seen.same], [0, 28, true])
})

test('a live sync settles once both sides have the same, and ends with ok: false when it is cancelled', async () => {
  const peer = await newPeer('settled')
  await page.evaluate(async (peer) => {
    window.live = new Firkin('settled')
    await live.put({ _id: 'first' })
    window.sync = live.sync(peer, { live: true, retry: true })
    window.paused = []
    sync.on('paused', (error) => paused.push(error?.name ?? 'up to date'))
    await sync.settled()
  }, peer)
  assert.deepEqual(await idsAt(peer), ['first'])
  for (let n = 0; n < 5; n += 1) {
    await page.evaluate(async (n) => {
      await live.put({ _id: `later${n}` })
      await sync.settled()
    }, n)
    assert.ok((await idsAt(peer)).includes(`later${n}`), `later${n} is not there`)
  }
  await fetch(`${peer}/theirs`, { method: 'PUT', body: '{"n":1}' })
  await page.waitForFunction(() => live.get('theirs').catch(() => false))
  const { state, ended, result, after } = await page.evaluate(async () => {
    await sync.settled()
    const { state } = sync.status
    sync.cancel()
    const result = await sync
    const after = sync.status.state
    return { state, ended: [result.push.ok, result.pull.ok], result, after }
  })
  assert.deepEqual([state, ended, after], ['idle', [false, false], 'cancelled'])
  assert.equal(result.push.docs_written, 6)
  assert.ok((await page.evaluate(() => paused)).every((told) => told === 'up to date'))
})

test('a server that asks for credentials gets them from headers, and fresh ones after a 401', async () => {
  const peer = await newPeer('private', guarded)
  const seen = await page.evaluate(
    async ({ peer, authorization }) => {
      const db = new Firkin('credentials')
      await db.put({ _id: 'a' })
      const outcome = (handle) =>
        handle.then(
          ({ ok }) => ok,
          ({ status, name }) => `${status} ${name}`,
        )
      const asked = []
      const headers = () => {
        asked.push('headers')
        return { authorization: 'Basic c3RhbGU6c3RhbGU=' }
      }
      const onUnauthorized = async () => {
        asked.push('onUnauthorized')
        return { authorization }
      }
      const none = db.replicate.to(peer)
      const told = new Promise((resolve) => none.on('error', ({ name }) => resolve(name)))
      const outcomes = [await outcome(none)]
      outcomes.push(await outcome(db.replicate.to(peer, { headers })))
      asked.length = 0
      outcomes.push(await outcome(db.replicate.to(peer, { headers, onUnauthorized })))
      outcomes.push(await outcome(db.replicate.from(peer, { headers: { authorization } })))
      outcomes.push(await outcome(db.replicate.from(peer.replace('//', '//cellar:oak%20and%20chestnut@'))))
      const { state, error } = none.status
      return { outcomes, asked, told: await told, state, error: error.name }
    },
    { peer, authorization: credentials },
  )
  assert.deepEqual(seen.outcomes, ['401 unauthorized', '401 unauthorized', true, true, true])
  assert.deepEqual(seen.asked, ['headers', 'onUnauthorized'])
  assert.deepEqual([seen.told, seen.state, seen.error], ['unauthorized', 'error', 'unauthorized'])
})

test('a document that the peer refuses is told of and passed over', async () => {
  const peer = await newPeer('denied')
  const seen = await page.evaluate(async (peer) => {
    const db = new Firkin('denied', { documentBytesMax: 10 << 20 })
    await db.bulkDocs([{ _id: 'a' }, { _id: 'huge', s: 'x'.repeat(9 << 20) }, { _id: 'z' }])
    const push = db.replicate.to(peer)
    const denied = []
    push.on('denied', ({ direction, id, rev }) => denied.push([direction, id, rev.slice(0, 2)]))
    const { docs_written, doc_write_failures } = await push
    await db.destroy()
    return { denied, docs_written, doc_write_failures }
  }, peer)
  assert.deepEqual(seen, { denied: [['push', 'huge', '1-']], docs_written: 2, doc_write_failures: 1 })
  assert.deepEqual(await idsAt(peer), ['a', 'z'])
})

test('a signal cancels, also before anything was sent', async () => {
  const seen = await page.evaluate(
    async (peer) => {
      const db = new Firkin('signalled')
      const early = await db.replicate.to(peer, { live: true, signal: AbortSignal.abort() })
      const controller = new AbortController()
      const late = db.replicate.from(peer, { live: true, signal: controller.signal })
      await late.settled()
      controller.abort()
      const ok = [early.ok, (await late).ok]
      await db.close()
      return ok
    },
    await newPeer('signal'),
  )
  assert.deepEqual(seen, [false, false])
})

test('closing the database ends its replications', async () => {
  const seen = await page.evaluate(
    async (peer) => {
      const db = new Firkin('closing')
      const sync = db.sync(peer, { live: true, retry: true })
      await sync.settled()
      await db.close()
      const { push, pull } = await sync
      return [push.ok, pull.ok, sync.status.state]
    },
    await newPeer('closing'),
  )
  assert.deepEqual(seen, [false, false, 'cancelled'])
})

test('a sync that a tab began goes on when the leading tab is closed, and ends with its own', async () => {
  const peer = await newPeer('tabs')
  const openTab = async () => {
    const tab = await profile.open()
    await tab.evaluate(async () => {
      window.db = new Firkin('tabs')
      await db.info()
    })
    return tab
  }
  // The lead passes on in the order in which the tabs were opened.
  const [leader, last, syncing] = [await openTab(), await openTab(), await openTab()]
  await syncing.evaluate(async (peer) => {
    window.asked = 0
    const headers = () => {
      window.asked += 1
      return {}
    }
    window.sync = db.sync(peer, { live: true, retry: true, headers })
    await sync.settled()
  }, peer)
  assert.equal(await syncing.evaluate(() => asked), 2)
  await leader.evaluate(() => db.put({ _id: 'by leader' }))
  await arrives(peer, 'by leader')
  await syncing.evaluate(() => sync.settled())

  await leader.close()
  await last.evaluate(() => db.put({ _id: 'by last' }))
  await arrives(peer, 'by last')
  await syncing.evaluate(() => sync.settled())
  assert.deepEqual(await syncing.evaluate(() => [asked, sync.push.status.written]), [4, 2])

  await syncing.close()
  // The leading tab hears a little later that the other one is gone; from then on nothing is sent.
  let sent = true
  for (let round = 0; sent && round < 20; round += 1) {
    const id = `after ${round}`
    await last.evaluate((id) => db.put({ _id: id }), id)
    await pause(300)
    sent = (await idsAt(peer)).includes(id)
  }
  assert.equal(sent, false)
  await last.close()
})
