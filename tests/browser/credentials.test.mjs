// Credentials of replications: fresh ones are asked for once and work goes on, cookies are sent where the app says so, and
// nothing secret reaches another origin, the console or an error.

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
const admin = 'cellar:oak and chestnut'
let folder
let open
let guarded
let page
const logged = []

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-credentials-'))
  page = await profile.open()
  page.on('console', (message) => logged.push(message.text()))
  const { origin } = profile
  open = await startFirkinServer({ data: join(folder, 'open'), origin })
  guarded = await startFirkinServer({ data: join(folder, 'guarded'), origin, admin })
})
after(async () => {
  await open?.stop()
  await guarded?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function newDatabase(server, name) {
  const headers = { authorization: `Basic ${btoa(admin)}` }
  assert.equal((await fetch(`${server.url}/${name}`, { method: 'PUT', headers })).status, 201)
}

test('a token that expires in the middle of a live sync is asked for once by each half, and the sync goes on', async (t) => {
  await newDatabase(open, 'tokens')
  const gate = await startGate(open.url, { origin: profile.origin, token: 'first' })
  t.after(gate.stop)
  await page.evaluate(async (url) => {
    window.db = new Firkin('tokens')
    await db.put({ _id: 'a' })
    window.asked = []
    const token = (word) => ({ authorization: `Bearer ${word}` })
    const headers = () => {
      asked.push('headers')
      return token('first')
    }
    const onUnauthorized = async () => {
      asked.push('onUnauthorized')
      return token('second')
    }
    window.sync = db.sync(url, { live: true, retry: true, headers, onUnauthorized })
    await sync.settled()
  }, `${gate.url}/tokens`)
  assert.equal(gate.refused, 0)
  gate.token = 'second'
  await page.evaluate(() => db.put({ _id: 'b' }))
  await fetch(`${open.url}/tokens/theirs`, { method: 'PUT', body: '{}' })
  await eventually(page, () => db.get('theirs').catch(() => false))
  await page.evaluate(async () => {
    await db.put({ _id: 'c' })
    await sync.settled()
  })
  const { rows } = await (await fetch(`${open.url}/tokens/_all_docs`)).json()
  assert.deepEqual(
    rows.map(({ id }) => id),
    ['a', 'b', 'c', 'theirs'],
  )
  const { asked, states } = await page.evaluate(async () => {
    const states = [sync.push.status.state, sync.pull.status.error]
    sync.cancel()
    await sync
    await db.destroy()
    return { asked: asked.sort(), states }
  })
  assert.deepEqual(asked, ['headers', 'headers', 'onUnauthorized', 'onUnauthorized'])
  assert.deepEqual(states, ['idle', undefined])
  assert.ok(gate.refused >= 2)
})

test('cookies of a session go along where the app says so', async () => {
  await newDatabase(guarded, 'cookies')
  const outcomes = await page.evaluate(async (url) => {
    const [name, password] = ['cellar', 'oak and chestnut']
    const body = JSON.stringify({ name, password })
    const headers = { 'content-type': 'application/json' }
    await fetch(`${url}/_session`, { method: 'POST', body, headers, credentials: 'include' })
    const db = new Firkin('cookies')
    await db.put({ _id: 'a' })
    const outcomes = []
    for (const credentials of ['omit', 'include']) {
      const push = db.replicate.to(`${url}/cookies`, { credentials })
      outcomes.push(await push.then(({ docs_written }) => docs_written).catch(({ code }) => code))
    }
    await db.destroy()
    return outcomes
  }, guarded.url)
  assert.deepEqual(outcomes, ['unauthorized', 1])
})

test('no credentials reach the origin that a server redirects to', async (t) => {
  await newDatabase(open, 'elsewhere')
  // A request that was redirected between origins names none.
  const elsewhere = await startGate(open.url, { origin: '*' })
  const gate = await startGate(open.url, { origin: profile.origin, location: elsewhere.url })
  t.after(() => Promise.all([gate.stop(), elsewhere.stop()]))
  const outcomes = await page.evaluate(async (url) => {
    const db = new Firkin('elsewhere')
    await db.put({ _id: 'a' })
    const outcomes = []
    const secret = { authorization: 'Bearer s3cret' }
    const withPassword = url.replace('//', '//name:s3cret@')
    for (const [peer, options] of [
      [url, { headers: secret }],
      [url, { headers: () => secret }],
      [url, { headers: { 'x-token': 's3cret' } }],
      [withPassword, {}],
      [url, { fetch: (...asked) => fetch(...asked), headers: secret }],
      [url, {}],
    ]) {
      const push = db.replicate.to(peer, options)
      const told = ({ code, message, stack }) => [code, /s3cret|czNjcmV0/.test(message + stack)]
      outcomes.push(await push.then(({ docs_written }) => docs_written).catch(told))
    }
    await db.destroy()
    return outcomes
  }, `${gate.url}/elsewhere`)
  const refused = ['network_failed', false]
  assert.deepEqual(outcomes, [refused, refused, refused, refused, refused, 1])
  assert.ok(gate.shown.some((secret) => secret.includes('s3cret')))
  assert.deepEqual(elsewhere.shown, [])
})

test('what is secret is in no error, no status and no line of the console', async (t) => {
  const gate = await startGate(open.url, { origin: profile.origin, token: 'another' })
  t.after(gate.stop)
  const told = await page.evaluate(async (url) => {
    const db = new Firkin('silent')
    const told = []
    const tell = (value) => told.push(JSON.stringify([value, value?.message, value?.stack, value?.reason]))
    const headers = { authorization: 'Bearer s3cret' }
    const withPassword = url.replace('//', '//name:s3cret@')
    const wrong = { authorization: 's3cret\n' }
    for (const [peer, options] of [
      [withPassword, {}],
      [url, { headers }],
      [url, { headers: { 'x-wrong': 's3cret\u0100' } }],
      [url, { headers: wrong, retry: false }],
      [`${withPassword}?query`, {}],
      ['http://name:s3cret@127.0.0.1:1/x', {}],
      ['name:s3cret@nowhere', {}],
    ]) {
      const pull = db.replicate.from(peer, options)
      pull.on('error', tell).on('paused', tell)
      await pull.catch(tell)
      tell(pull.status)
      tell(pull.status.error)
    }
    await db.destroy()
    return told
  }, `${gate.url}/silent`)
  assert.ok(told.length >= 21)
  const secret = /s3cret|czNjcmV0/
  assert.deepEqual(
    [...told, ...logged].filter((line) => secret.test(line)),
    [],
  )
})
