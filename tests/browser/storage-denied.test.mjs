// There is no storage to be had, or not now: each time the app gets a typed error, and nothing is left half made.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launchProfile, openPage } from '../support/browser.mjs'
import { faultyWorker } from '../support/faulty-worker.mjs'
import { serveStatic } from '../support/static-server.mjs'
import { useProfile } from './profile.mjs'

const packageFolder = fileURLToPath(new URL('../../js', import.meta.url))

/** To be run in a worker: there is no IndexedDB in it. */
function hasNoStorage() {
  Object.defineProperty(globalThis, 'indexedDB', { value: undefined })
}

/** To be run in a worker: what waits for half a minute waits for half a second. */
function isImpatient() {
  const plain = setTimeout
  globalThis.setTimeout = (callback, delay_ms) => plain(callback, delay_ms === 30_000 ? 500 : delay_ms)
}

const profile = useProfile(
  {
    '/without/dist/worker.js': faultyWorker(hasNoStorage),
    '/impatient/dist/worker.js': faultyWorker(isImpatient),
  },
  { folders: { '/without/': packageFolder, '/impatient/': packageFolder, '/nobody/': packageFolder } },
)

/** Opens a database, and answers its name once it is open, or the error. */
function tryToOpen(page, name, { build = '', options = {} } = {}) {
  return page.evaluate(
    async ([name, build, options]) => {
      const { Firkin } = await import(`${build}/dist/index.js`)
      try {
        const db = new Firkin(name, options)
        await db.ready
        await db.put({ _id: `put ${Math.random()}` })
        const { doc_count } = await db.info()
        await db.close()
        return { doc_count }
      } catch (error) {
        const { status, code, reason } = error
        return { status, code, reason, typed: error.constructor.name === 'FirkinError' }
      }
    },
    [name, build, options],
  )
}

/** As `tryToOpen`, of an error whose reason matches. */
async function isRefused(opening, { status, code }, reason) {
  const refused = await opening
  assert.deepEqual({ ...refused, reason: undefined }, { status, code, reason: undefined, typed: true })
  assert.match(refused.reason, reason)
}

const FAILED = { status: 500, code: 'storage_failed' }

test('where there is no IndexedDB, opening fails as storage_failed, and a database in memory works', async () => {
  const page = await profile.open()
  await isRefused(tryToOpen(page, 'nowhere', { build: '/without' }), FAILED, /not available/)
  const opened = await tryToOpen(page, 'nowhere', { build: '/without', options: { storage: 'memory' } })
  assert.deepEqual(opened, { doc_count: 1 })
})

test('a page that may not store anything gets storage_failed, with a worker and without, and a database in memory works', async () => {
  const headers = { 'content-security-policy': 'sandbox allow-scripts', 'access-control-allow-origin': '*' }
  const sandbox = await serveStatic({}, { headers })
  after(sandbox.stop)
  await profile.open()
  const page = await openPage(profile.context, sandbox.origin)
  await isRefused(tryToOpen(page, 'denied'), FAILED, /./)
  await isRefused(tryToOpen(page, 'denied', { options: { worker: false } }), FAILED, /./)
  const opened = await tryToOpen(page, 'denied', { options: { worker: false, storage: 'memory' } })
  assert.deepEqual(opened, { doc_count: 1 })
})

test('on a page that is not secure a database is refused that outlives it, and one in memory works', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'firkin-insecure-'))
  const browser = await launchProfile(folder, ['--host-resolver-rules=MAP insecure.test 127.0.0.1'])
  context.after(async () => {
    await browser.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  await profile.open()
  const page = await openPage(browser, profile.origin.replace('127.0.0.1', 'insecure.test'))
  assert.equal(await page.evaluate(() => isSecureContext), false)
  for (const storage of ['indexeddb', 'opfs']) {
    await isRefused(tryToOpen(page, 'plain', { options: { storage } }), FAILED, /secure pages/)
  }
  assert.deepEqual(await tryToOpen(page, 'plain', { options: { storage: 'memory' } }), { doc_count: 1 })
})

test('where the worker cannot be loaded every call fails, also of what can be done to a database that does not open', async () => {
  const page = await profile.open()
  await page.route('**/nobody/dist/worker.js', (route) => route.abort())
  const outcome = await page.evaluate(async () => {
    const { Firkin } = await import('/nobody/dist/index.js')
    const refusal = (promise) =>
      promise.then(
        () => 'done',
        ({ code }) => code,
      )
    const db = new Firkin('nobody')
    const atOnce = await Promise.all([db.get('a'), db.repair(), db.destroy()].map(refusal))
    const later = await Promise.all([db.get('a'), db.repair(), db.destroy()].map(refusal))
    await db.close()
    return [...atOnce, ...later]
  })
  assert.deepEqual(outcome, Array(6).fill('storage_failed'))
})

test('a private window has a database of its own, which is gone with the window', async () => {
  await (await profile.open()).evaluate(async () => new Firkin('private').put({ _id: 'not private' }))
  for (const durability of ['relaxed', 'strict']) {
    const window = await profile.context.browser().newContext()
    const counts = []
    for (let tab = 0; tab < 2; tab += 1) {
      counts.push(await tryToOpen(await openPage(window, profile.origin), 'private', { options: { durability } }))
    }
    assert.deepEqual(counts, [{ doc_count: 1 }, { doc_count: 2 }])
    await window.close()
  }
  assert.deepEqual(await tryToOpen(await profile.open(), 'private'), { doc_count: 2 })
})

test('an opening that other code blocks for long fails as storage_failed, and succeeds once the way is free', async () => {
  const page = await profile.open()
  const failures = []
  page.on('pageerror', (error) => failures.push(error))
  await page.evaluate(async () => {
    await new Firkin('blocked').put({ _id: 'a' }).catch(String)
    const opening = indexedDB.open('firkin:blocked')
    await new Promise((resolve) => {
      opening.onsuccess = resolve
    })
    window.holding = opening.result
    window.deleting = new Promise((resolve) => {
      indexedDB.deleteDatabase('firkin:blocked').onsuccess = resolve
    })
  })
  await isRefused(tryToOpen(page, 'blocked', { build: '/impatient' }), FAILED, /blocked by another tab/)
  await page.evaluate(() => {
    holding.close()
    return deleting
  })
  assert.deepEqual(failures, [])
  assert.deepEqual(await tryToOpen(page, 'blocked'), { doc_count: 1 })
})

test('where there is no room even for an empty database, opening fails with 507, and succeeds once there is', async () => {
  // An origin of which the browser does not know yet how much room it has.
  const { origin, stop } = await serveStatic()
  after(stop)
  const page = await openPage(profile.context, origin)
  const browser = await page.context().newCDPSession(page)
  await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1 })
  await isRefused(tryToOpen(page, 'no room'), { status: 507, code: 'quota_exceeded' }, /no room/)
  await browser.send('Storage.overrideQuotaForOrigin', { origin })
  assert.deepEqual(await tryToOpen(page, 'no room'), { doc_count: 1 })
})

test('the app can ask how much room there is, and for its data to be kept', async () => {
  const page = await profile.open()
  const before = await page.evaluate(async () => {
    await new Firkin('asked').put({ _id: 'a' })
    return Firkin.estimate()
  })
  assert.ok(before.usage > 0 && before.quota > before.usage, JSON.stringify(before))
  assert.equal(before.persisted, false)
  const browser = await page.context().newCDPSession(page)
  await browser.send('Browser.grantPermissions', { origin: profile.origin, permissions: ['durableStorage'] })
  assert.equal(await page.evaluate(() => Firkin.persist()), true)
  assert.equal((await page.evaluate(() => Firkin.estimate())).persisted, true)
})
