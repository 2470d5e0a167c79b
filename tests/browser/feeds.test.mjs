// Many live replications of one page with one server: a browser opens six connections to a server that speaks HTTP/1.1, and each
// feed that is held takes one.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { eventually, launchProfile, openPage } from '../support/browser.mjs'
import { feedsHeld, startFirkinServer } from '../support/firkin-server.mjs'
import { startGate } from '../support/gate.mjs'
import { startPouchServer } from '../support/pouchdb.mjs'
import { useProfile } from './profile.mjs'
import { useGatedServer } from './server.mjs'

/** How many feeds a page holds with one server over HTTP/1.1. */
const HELD = 3

/** More than a browser has connections to one server. */
const NAMES = Array.from({ length: 8 }, (_, n) => `feed${n}`)

const profile = useProfile()
const around = useGatedServer(profile)

async function create(url) {
  assert.equal((await fetch(url, { method: 'PUT' })).status, 201)
}

const put = async (url, id) => assert.equal((await fetch(`${url}/${id}`, { method: 'PUT', body: '{}' })).status, 201)

/** Begins a live sync of each of the databases. */
async function syncAll(page, names, base) {
  await page.evaluate(
    async ([names, base]) => {
      window.dbs = names.map((name) => new Firkin(name))
      window.syncs = dbs.map((db, n) => db.sync(`${base}/${names[n]}`, { live: true, retry: true }))
      await Promise.all(syncs.map((sync) => sync.settled()))
    },
    [names, base],
  )
}

const endAll = (page) =>
  page.evaluate(async () => {
    for (const sync of syncs) sync.cancel()
    await Promise.all(syncs)
    await Promise.all(dbs.map((db) => db.destroy()))
  })

/** All have the document, here or there. */
const haveAll = (id) =>
  Promise.all(dbs.map((db) => db.get(id).catch(() => false))).then((found) => found.every(Boolean))

/** One of them has it. */
const haveOne = (id) => Promise.all(dbs.map((db) => db.get(id).catch(() => false))).then((found) => found.some(Boolean))

const isFeedOf = (name, request) => request.includes(`/${name}/_changes`)

/** Waits until it holds. */
async function eventuallyHere(holds) {
  const deadline = Date.now() + 30_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `did not come true: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** A certificate that nobody has signed, and its key, in files. */
async function certificate(folder) {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', [...made, '-keyout', key, '-out', cert, ...subject])
  return [cert, key]
}

async function arriveAtServer(names, id) {
  for (const name of names) await eventuallyHere(() => fetch(`${around.server.url}/${name}/${id}`).then(({ ok }) => ok))
}

const heldCome = (to) => eventuallyHere(async () => (await feedsHeld(around.server)) === to)

test('eight databases are live over HTTP/1.1: what is written in each arrives at the server, and back', {
  timeout: 60_000,
}, async () => {
  for (const name of NAMES) await create(`${around.server.url}/${name}`)
  const page = await profile.open()
  await syncAll(page, NAMES, around.gate.url)
  await page.evaluate(() => Promise.all(dbs.map((db) => db.put({ _id: 'here' }))))
  await arriveAtServer(NAMES, 'here')
  for (const name of NAMES) await put(`${around.server.url}/${name}`, 'there')
  await eventually(page, haveAll, 'there')
  // What settles has looked: of those too that hold no feed.
  for (const name of NAMES) await put(`${around.server.url}/${name}`, 'later')
  await page.evaluate(() => Promise.all(syncs.map((sync) => sync.settled())))
  const holding = NAMES.filter((name) =>
    around.gate.requests.findLast((request) => isFeedOf(name, request)).includes('longpoll'),
  )
  const there = await page.evaluate(() => Promise.all(dbs.map((db) => db.get('later').catch(() => false))))
  for (const [n, name] of NAMES.entries()) if (!holding.includes(name)) assert.ok(there[n], `${name} has not looked`)
  await eventually(page, haveAll, 'later')
  await heldCome(HELD)
  await endAll(page)
  await heldCome(0)
  await page.close()
})

test('tabs and databases of a page share the places of a server, and who goes gives them back', {
  timeout: 60_000,
}, async () => {
  const [first, second] = [NAMES.slice(0, 3), NAMES.slice(3, 6)]
  for (const name of [...first, ...second]) await create(`${around.server.url}/tabs-${name}`)
  const [one, other] = [await profile.open(), await profile.open()]
  await syncAll(
    one,
    first.map((name) => `tabs-${name}`),
    around.gate.url,
  )
  await syncAll(
    other,
    second.map((name) => `tabs-${name}`),
    around.gate.url,
  )
  await heldCome(HELD)
  for (const name of second) await put(`${around.server.url}/tabs-${name}`, 'there')
  await eventually(other, haveAll, 'there')
  await heldCome(HELD)
  await one.close()
  for (const name of second) {
    await eventuallyHere(() =>
      around.gate.requests.some((request) => isFeedOf(`tabs-${name}`, request) && request.includes('longpoll')),
    )
  }
  await heldCome(HELD)
  await endAll(other)
  await other.close()
})

for (const kind of ['Firkin', 'PouchDB']) {
  test(`a feed that moves takes the place of one that rests, at the server of ${kind}`, {
    timeout: 60_000,
  }, async (t) => {
    const pouch = kind === 'PouchDB' ? await startPouchServer({ origin: profile.origin }) : undefined
    t.after(() => pouch?.stop())
    const base = pouch?.url ?? around.server.url
    const between = await startGate(base, { origin: profile.origin })
    t.after(() => between.stop())
    const names = NAMES.slice(0, HELD + 1).map((name) => `rest-${name}`)
    const urls = names.map((name) => `${base}/${name}`)
    for (const url of urls) await create(url)
    const page = await profile.open()
    await syncAll(page, names, between.url)
    const holds = (name) =>
      between.requests.some((request) => isFeedOf(name, request) && request.includes('feed=longpoll'))
    await eventuallyHere(() => names.filter(holds).length === HELD)
    const left = names.findIndex((name) => !holds(name))
    // In the end the others have told nothing for long enough.
    for (let n = 0; !holds(names[left]); n += 1) {
      assert.ok(n < 20, 'it holds no feed')
      await put(urls[left], `there${n}`)
      await eventually(page, haveOne, `there${n}`)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
    for (const url of urls) await put(url, 'all')
    await eventually(page, haveAll, 'all')
    const errors = await page.evaluate(() => syncs.map(({ status }) => status.error?.reason ?? 'none'))
    assert.deepEqual(new Set(errors), new Set(['none']))
    await endAll(page)
    await page.close()
  })
}

test('over HTTP/2 feeds share a connection, and all are held', { timeout: 60_000 }, async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'firkin-feeds-tls-'))
  t.after(() => rm(data, { recursive: true, force: true, maxRetries: 5 }))
  const [cert, key] = await certificate(data)
  const served = await startFirkinServer({ data: join(data, 'data'), origin: profile.origin, tls: { cert, key } })
  t.after(() => served.stop())
  const context = await launchProfile(join(data, 'profile'), ['--ignore-certificate-errors'])
  t.after(() => context.close())
  const page = await openPage(context, profile.origin)
  await page.evaluate(
    async ([names, url]) => {
      for (const name of names) await fetch(`${url}/${name}`, { method: 'PUT' })
    },
    [NAMES, served.url],
  )
  await syncAll(page, NAMES, served.url)
  const metrics = () => page.evaluate((url) => fetch(`${url}/_metrics`).then((response) => response.text()), served.url)
  await eventuallyHere(async () => (await metrics()).includes(`\nfirkin_feeds ${NAMES.length}\n`))
  await page.evaluate(
    ([names, url]) => Promise.all(names.map((name) => fetch(`${url}/${name}/there`, { method: 'PUT', body: '{}' }))),
    [NAMES, served.url],
  )
  await eventually(page, haveAll, 'there')
  await endAll(page)
})
