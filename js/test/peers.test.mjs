// Replication with another database of the same program, and with one at the other end of a port.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from './open.mjs'

const reel = new Uint8Array(700_000).map((_, place) => place ^ (place >> 7))

async function fill(db) {
  await db.bulkDocs(Array.from({ length: 300 }, (_, n) => ({ _id: `d${n}`, n })))
  const { rev } = await db.put({
    _id: 'reel/1 ü',
    _attachments: { 'a/b': { content_type: 'a/b', data: new Blob([reel]) } },
  })
  await db.putAttachment('reel/1 ü', 'short', rev, new Blob(['short']), 'text/plain')
  const { rev: gone } = await db.put({ _id: 'gone' })
  await db.remove('gone', gone)
}

async function leaves(db) {
  const { results } = await db.changes({ style: 'all_docs' })
  return Object.fromEntries(results.map(({ id, changes }) => [id, changes.map(({ rev }) => rev)]))
}

const bytesOf = async (db) => new Uint8Array(await (await db.getAttachment('reel/1 ü', 'a/b')).arrayBuffer())

async function until(holds) {
  const deadline = Date.now() + 10_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `did not come true: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('two local databases come to hold the same, attachments and tombstones included', async (t) => {
  const [one, other] = [open(t, 'one'), open(t, 'other')]
  await fill(one)
  await other.put({ _id: 'd1', n: 'other' })
  const { push, pull } = await one.sync(other)
  assert.deepEqual(
    [push.docs_written, pull.docs_written, push.doc_write_failures + pull.doc_write_failures],
    [302, 1, 0],
  )
  assert.deepEqual(await leaves(other), await leaves(one))
  assert.equal((await leaves(one)).d1.length, 2)
  assert.deepEqual(await bytesOf(other), reel)
  const again = await one.sync(other)
  assert.deepEqual([again.push.docs_read, again.pull.docs_read], [0, 0])
  assert.deepEqual((await other.replicate.from(one)).docs_written, 0)
})

test('part of a local database is pulled by selector and by ids', async (t) => {
  const [one, few, named] = [open(t, 'whole'), open(t, 'few'), open(t, 'named')]
  await fill(one)
  await few.replicate.from(one, { selector: { n: { $lt: 10 } } })
  assert.equal((await few.info()).doc_count, 10)
  await one.replicate.to(named, { doc_ids: ['d3', 'd4'] })
  assert.deepEqual(Object.keys(await leaves(named)), ['d3', 'd4'])
})

test('a live sync of two local databases carries edits both ways, and settles', async (t) => {
  const [one, other] = [open(t, 'live one'), open(t, 'live other')]
  const sync = one.sync(other, { live: true })
  await sync.settled()
  await one.put({ _id: 'a' })
  await sync.settled()
  assert.deepEqual(Object.keys(await leaves(other)), ['a'])
  await other.put({ _id: 'b' })
  await until(async () => 'b' in (await leaves(one)))
  assert.equal(sync.status.pending, 0)
  sync.cancel()
  const { push, pull } = await sync
  assert.deepEqual([push.ok, pull.ok, push.docs_written, pull.docs_written], [false, false, 1, 1])
})

test('a database is not replicated with itself', async (t) => {
  const db = open(t, 'itself')
  await assert.rejects(async () => db.replicate.to(db), { status: 400, code: 'bad_request' })
  await assert.rejects(async () => db.replicate.to({}), { status: 400, code: 'bad_request' })
})

test('what the other local database refuses is told, and the rest goes on', async (t) => {
  const logic = {
    validate: (doc) => {
      if (doc.n === 7) throw { forbidden: 'no sevens' }
    },
  }
  const [one, strict] = [open(t, 'lenient'), open(t, 'strict', { worker: false, logic })]
  await fill(one)
  const push = one.replicate.to(strict)
  const denied = []
  push.on('denied', ({ id, reason }) => denied.push([id, reason]))
  assert.equal((await push).doc_write_failures, 1)
  assert.deepEqual(denied, [['d7', 'no sevens']])
})

test('databases at the two ends of a port sync, whichever serves', async (t) => {
  const [one, other] = [open(t, 'port one'), open(t, 'port other')]
  const { port1, port2 } = new MessageChannel()
  t.after(() => port1.close())
  const stop = other.serve(port2)
  one.serve(port1)
  await fill(one)
  await other.put({ _id: 'theirs', _attachments: { a: { content_type: 'a/b', data: new Blob([reel]) } } })
  const [forth, back] = await Promise.all([one.sync(port1), other.sync(port2)])
  for (const { doc_write_failures } of [forth.push, forth.pull, back.push, back.pull])
    assert.equal(doc_write_failures, 0)
  assert.deepEqual(await leaves(other), await leaves(one))
  assert.deepEqual(await bytesOf(other), reel)

  const live = one.sync(port1, { live: true, retry: true })
  await live.settled()
  await Promise.all([one.put({ _id: 'live here' }), other.put({ _id: 'live there' })])
  await until(async () => 'live here' in (await leaves(other)) && 'live there' in (await leaves(one)))
  live.cancel()
  await live
  stop()
})

test('frames on a port are small enough for a data channel, and a reader that is slow holds up who sends', async (t) => {
  const [one, other] = [open(t, 'frames one'), open(t, 'frames other')]
  const long = new Uint8Array(5_000_000).map((_, place) => place ^ (place >> 9))
  await other.put({ _id: 'reel/1 ü', _attachments: { 'a/b': { content_type: 'a/b', data: new Blob([long]) } } })
  const { port1, port2 } = new MessageChannel()
  const { port1: far1, port2: far2 } = new MessageChannel()
  t.after(() => {
    port1.close()
    far1.close()
  })
  // The channel between: what it is given it holds back until it is let go.
  const [sizes, held] = [[], []]
  let holds = true
  port2.onmessage = ({ data }) => far1.postMessage(data)
  far1.onmessage = ({ data }) => {
    sizes.push(data.byteLength)
    if (holds && sizes.length > 30) held.push(data)
    else port2.postMessage(data)
  }
  other.serve(far2)
  const pull = one.replicate.from(port1)
  await until(() => held.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 200))
  const inFlight = held.length
  holds = false
  for (const data of held) port2.postMessage(data)
  assert.equal((await pull).docs_written, 1)
  assert.deepEqual(await bytesOf(one), long)
  assert.ok(Math.max(...sizes) <= 16_384, `${Math.max(...sizes)}`)
  assert.ok(inFlight > 0 && inFlight <= 64, `${inFlight}`)
})

test('a replication over a port at whose other end nobody is can be cancelled', async (t) => {
  const db = open(t, 'nobody')
  const { port1 } = new MessageChannel()
  t.after(() => port1.close())
  const pull = db.replicate.from(port1, { retry: true })
  setTimeout(() => pull.cancel(), 50)
  assert.equal((await pull).ok, false)
})

test('the app may send the requests to a server itself', async (t) => {
  const db = open(t, 'own fetch')
  const asked = []
  const fetch = async (url, { method, headers, body }) => {
    asked.push([method, url, new Headers(headers).get('x-app'), body === undefined])
    if (url.includes('_changes')) return Response.json({ results: [], last_seq: 0, pending: 0 })
    return url.includes('_local')
      ? Response.json({ error: 'not_found' }, { status: 404 })
      : Response.json({ db_name: 'x' })
  }
  const url = 'https://example.invalid/x'
  const { ok } = await db.replicate.from(url, { fetch, headers: { 'x-app': 'yes' } })
  assert.equal(ok, true)
  assert.deepEqual(asked[0], ['GET', url, 'yes', true])
  const failing = db.replicate.from(url, { fetch: () => Promise.reject(new TypeError('no way out')) })
  await assert.rejects(async () => failing, { code: 'network_failed', reason: /no way out/ })
})
