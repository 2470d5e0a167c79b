// An app's logic in real workers: what it refuses, shapes and cannot stop, against a real server too.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { serveStatic } from '../support/static-server.mjs'
import { useProfile } from './profile.mjs'

const rules = `
  export function validate(doc, old, { database, replicated }) {
    if (doc.loop) for (;;);
    if (doc.forever) return new Promise(() => {})
    if (doc.price < 0) throw { forbidden: 'a price is not below 0' }
    if (doc.secret) throw { unauthorized: 'who are you?' }
    if (doc.where) throw { forbidden: [self.name, typeof window, database, replicated].join() }
    if (old?.locked && !doc._deleted) throw new Error('it is locked')
  }
  export const onWrite = (doc) => doc.title ? { ...doc, slug: doc.title.toLowerCase() } : undefined`
const profile = useProfile({
  '/rules.js': rules,
  '/service-worker.js': `
    import { Firkin } from '/dist/index.js'
    import * as logic from '/rules.js'
    const db = new Firkin('served', { worker: false, logic })
    addEventListener('message', ({ data, ports: [port] }) => {
      db.put(data).then(() => port.postMessage('written'), ({ reason }) => port.postMessage(reason))
    })`,
  '/lax.js': 'export function validate() {}',
  '/broken.js': 'export function validate( {',
  '/empty.js': 'export {}',
  // The worker as it is where workers cannot start workers.
  '/dist/worker-alone.js': "import './worker.js'; delete self.Worker",
})
let folder
let server
let elsewhere

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-logic-'))
  const page = await profile.open()
  await page.close()
  server = await startFirkinServer({ data: folder, origin: profile.origin })
  elsewhere = await serveStatic({ '/rules.js': rules })
})
after(async () => {
  await server?.stop()
  await elsewhere?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A page with the database open under these rules, and `refusal`, which tells how a call was refused. */
async function openRuled(name, logic = '/rules.js', options = {}) {
  const page = await profile.open()
  await page.evaluate(
    ([name, logic, options]) => {
      window.db = new Firkin(name, { ...options, logic: new URL(logic, location.href) })
      window.refusal = (work) =>
        work.then(
          () => 'written',
          ({ status, name, reason }) => [status, name, reason],
        )
      return db.ready.catch(() => {})
    },
    [name, logic, options],
  )
  return page
}

test('what the rules refuse is not written: one document, a row, a revision of somebody else', async () => {
  const page = await openRuled('refused')
  const seen = await page.evaluate(async () => {
    const { rev } = await db.put({ _id: 'lock', locked: true })
    const told = [
      await refusal(db.put({ _id: 'a', price: -1 })),
      await refusal(db.put({ _id: 'a', secret: true })),
      await refusal(db.put({ _id: 'a', where: true })),
      await refusal(db.put({ _id: 'lock', _rev: rev })),
      await refusal(db.put({ _id: 'a', _rev: '1-a', where: true }, { new_edits: false })),
    ]
    const rows = await db.bulkDocs([{ _id: 'b', price: 1 }, { _id: 'c', price: -1 }, { _id: 'd' }])
    const atomic = await db.bulkDocs([{ _id: 'e' }, { _id: 'f', price: -1 }], { atomic: true })
    const { results } = await db.changes()
    return { told, rows: [...rows, ...atomic].map(({ ok, error }) => ok ?? error), ids: results.map(({ id }) => id) }
  })
  assert.deepEqual(seen.told, [
    [403, 'forbidden', 'a price is not below 0'],
    [401, 'unauthorized', 'who are you?'],
    [403, 'forbidden', 'firkin logic,undefined,refused,false'],
    [403, 'forbidden', 'it is locked'],
    [403, 'forbidden', 'firkin logic,undefined,refused,true'],
  ])
  assert.deepEqual(seen.rows, [true, 'forbidden', true, 'conflict', 'forbidden'])
  assert.deepEqual(seen.ids, ['lock', 'b', 'd'])
  await page.close()
})

test('new edits are shaped before they are stored, in the index too', async () => {
  const page = await openRuled('shaped')
  const seen = await page.evaluate(async () => {
    await db.put({ _id: 'a', title: 'Oak' })
    await db.put({ _id: 'b', title: 'Ash', _rev: '1-b' }, { new_edits: false })
    const { docs } = await db.find({ selector: { slug: 'oak' } })
    return { found: docs.map(({ _id }) => _id), other: (await db.get('b')).slug }
  })
  assert.deepEqual(seen, { found: ['a'], other: undefined })
  await page.close()
})

test('documents of a server that the rules refuse are denied, and the others arrive', async () => {
  const peer = `${server.url}/shop`
  assert.equal((await fetch(peer, { method: 'PUT' })).status, 201)
  const docs = Array.from({ length: 300 }, (_, n) => ({ _id: `d${n}`, price: n % 50 === 7 ? -n : n }))
  const headers = { 'content-type': 'application/json' }
  await fetch(`${peer}/_bulk_docs`, { method: 'POST', headers, body: JSON.stringify({ docs }) })
  const page = await openRuled('pulled')
  const seen = await page.evaluate(async (peer) => {
    const pull = db.replicate.from(peer)
    const denied = []
    pull.on('denied', ({ id, error, reason }) => denied.push([id, error, reason]))
    const { ok, docs_written, doc_write_failures } = await pull
    const { doc_count } = await db.info()
    return { denied, ended: [ok, docs_written, doc_write_failures, doc_count] }
  }, peer)
  const reason = 'a price is not below 0'
  assert.deepEqual(
    seen.denied.sort(),
    ['d107', 'd157', 'd207', 'd257', 'd57', 'd7'].map((id) => [id, 'forbidden', reason]),
  )
  assert.deepEqual(seen.ended, [true, 294, 6, 294])
  await page.close()
})

test('rules that do not end are ended: the write fails, later writes and reads work', async () => {
  const page = await openRuled('endless')
  for (const member of ['loop', 'forever']) {
    const seen = await page.evaluate(async (member) => {
      const began = performance.now()
      const stuck = refusal(db.bulkDocs([{ _id: 'x' }, { _id: 'y', [member]: true }]))
      // Reads wait for nobody; a write waits for its turn.
      const info = await db.info()
      const read_ms = performance.now() - began
      const next = await db.put({ _id: `after ${member}`, title: 'Oak' })
      const [status, name, reason] = await stuck
      const refused = await refusal(db.put({ _id: 'z', price: -1 }))
      return {
        refused,
        info,
        read_ms,
        error: [status, name],
        reason,
        slug: (await db.get(next.id)).slug,
        ids: (await db.allDocs()).rows.map(({ id }) => id),
      }
    }, member)
    assert.deepEqual(seen.error, [500, 'logic_failed'])
    assert.match(seen.reason, /took too long.*ended after 5\d\d\d ms/)
    assert.deepEqual([seen.slug, seen.refused[0]], ['oak', 403])
    assert.ok(seen.ids.includes(`after ${member}`) && !seen.ids.includes('x'), String(seen.ids))
    assert.ok(seen.read_ms < 4000, `a read took ${seen.read_ms} ms`)
  }
  await page.close()
})

test('logic that cannot be loaded, or is not from here, keeps the database from opening', async () => {
  const failures = {
    '/nowhere.js': [500, 'logic_failed', /nowhere\.js could not be loaded/],
    '/broken.js': [500, 'logic_failed', /broken\.js could not be loaded/],
    '/empty.js': [500, 'logic_failed', /none of validate, onWrite and merges/],
    '/page': [500, 'logic_failed', /could not be loaded/],
    [`${elsewhere.origin}/rules.js`]: [400, 'bad_request', /own origin/],
    'data:text/javascript,export%20function%20validate()%7B%7D': [400, 'bad_request', /own origin/],
  }
  for (const [logic, [status, name, reason]] of Object.entries(failures)) {
    for (const worker of [true, false]) {
      const page = await openRuled('unopened', logic, { worker })
      const told = await page.evaluate(async () => [await refusal(db.ready), await refusal(db.put({ _id: 'a' }))])
      for (const error of told) {
        assert.deepEqual(error.slice(0, 2), [status, name], logic)
        assert.match(error[2], reason)
      }
      assert.deepEqual(await page.evaluate(() => db.destroy()), { ok: true })
      await page.close()
    }
  }
})

test('the rules of the tab that leads hold for all, and a tab that asked for others is warned', async () => {
  const leader = await openRuled('tabs')
  const warnings = []
  const follower = await profile.open()
  follower.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()))
  await follower.evaluate(async () => {
    window.db = new Firkin('tabs', { logic: '/lax.js' })
    window.price = (_id) =>
      db.put({ _id, price: -1 }).then(
        () => 'written',
        ({ reason }) => reason,
      )
    await db.ready
  })
  assert.equal(await follower.evaluate(() => price('a')), 'a price is not below 0')
  while (warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.match(warnings[0], /"tabs" is \S+\/rules\.js.* asked for \S+\/lax\.js/)
  // Its own hold when it leads.
  await leader.close()
  await eventually(follower, async () => (await price(crypto.randomUUID())) === 'written')
  await follower.close()
})

test('a worker that cannot start workers has the page start the one for the logic', async () => {
  const page = await profile.open()
  const seen = await page.evaluate(async () => {
    const { Worker: original } = window
    const started = []
    window.Worker = class extends original {
      constructor(url, options) {
        started.push(options.name)
        super(options.name === 'firkin' ? new URL('./worker-alone.js', url) : url, options)
      }
    }
    const db = new Firkin('alone', { logic: '/rules.js' })
    const told = async (doc) =>
      db.put(doc).then(
        () => 'written',
        ({ name, reason }) => `${name}: ${reason}`,
      )
    const outcomes = [
      await told({ _id: 'a', price: -1 }),
      await told({ _id: 'b' }),
      await told({ _id: 'c', loop: true }),
    ]
    outcomes.push(await told({ _id: 'd', where: true }))
    const unopened = new Firkin('alone too', { logic: '/nowhere.js' })
    outcomes.push(await unopened.ready.catch(({ name }) => name))
    await db.close()
    return { outcomes, started }
  })
  assert.match(seen.outcomes[2], /^logic_failed: .*ended after/)
  const rest = seen.outcomes.toSpliced(2, 1)
  assert.deepEqual(rest, [
    'forbidden: a price is not below 0',
    'written',
    'forbidden: firkin logic,undefined,alone,false',
    'logic_failed',
  ])
  // One for each engine, and one again for the one that was ended.
  assert.deepEqual(seen.started, ['firkin', 'firkin logic', 'firkin logic', 'firkin', 'firkin logic'])
  await page.close()
})

test('a service worker hands in the module itself, which it cannot import by URL', async () => {
  const page = await profile.open()
  const seen = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.register('/service-worker.js', { type: 'module' })
    const worker = registration.installing ?? registration.waiting ?? registration.active
    const { port1, port2 } = new MessageChannel()
    worker.postMessage({ _id: 'a', price: -1 }, [port2])
    const told = await new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data)
    })
    await registration.unregister()
    // Where the engine runs in a worker there is no way to hand it over.
    try {
      new Firkin('handed in', { logic: { validate() {} } })
    } catch ({ status, name }) {
      return [told, status, name]
    }
  })
  assert.deepEqual(seen, ['a price is not below 0', 400, 'bad_request'])
  await page.close()
})

test('without a worker the module runs where the instance is', async () => {
  const page = await openRuled('in place', '/rules.js', { worker: false })
  const told = await page.evaluate(() => refusal(db.put({ _id: 'a', where: true })))
  assert.deepEqual(told, [403, 'forbidden', ',object,in place,false'])
  const waiting = await page.evaluate(() => refusal(db.put({ _id: 'a', forever: true })))
  assert.deepEqual(waiting.slice(0, 2), [500, 'logic_failed'])
  assert.equal(await page.evaluate(() => refusal(db.put({ _id: 'a' }))), 'written')
  await page.close()
})
