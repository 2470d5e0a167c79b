// Atlas, the demo app, as people use it: in Chromium, as built, against the real server.
//
// Each test has profiles of its own, which share nothing but the server's database that they are given.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import countries from 'world-countries'
import { flags } from '../support/browser.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const patience_ms = 20_000

let folder
let browser
let app
let server
let appUrl
let serverUrl

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-'))
  const appPort = await freePort()
  appUrl = `http://localhost:${appPort}`
  server = await startServer(0)
  serverUrl = server.url
  app = await start(process.execPath, [join(root, 'demo/serve.mjs'), '--port', String(appPort)], /Atlas is at (\S+)/)
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
})

after(async () => {
  await browser?.close()
  for (const running of [app, server]) await running?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('the first start imports every country and shows how far it is', async (t) => {
  const page = await newPage(t)
  await page.goto(appUrl)
  await page.getByText('250 of 250').waitFor()
  await page.getByTestId('name').fill('Alice')
  await page.getByTestId('start').click()
  await page.getByTestId('tally').getByText('of 250').waitFor()
  assert.equal(await page.title(), 'Your journey · Atlas')
  await open(page, '#/sync')
  await page.getByTestId('stored').getByText('250').waitFor()
})

test('countries are found by name in any language, by region, language, currency and borders', async (t) => {
  const page = await welcomed(t, 'Alice')
  await open(page, '#/countries')
  await counts(page, 250)
  await page.keyboard.press('/')
  await page.keyboard.type('Osterr')
  await counts(page, 1)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await heading(page, 'Austria')
  await page.goBack()
  await page.getByTestId('search').fill('')
  await page.getByTestId('facet-region-Oceania').check()
  await counts(page, countries.filter(({ region }) => region === 'Oceania').length)
  await page.getByTestId('facet-region-all').check()
  await page.getByLabel('Language').selectOption('fra')
  await counts(page, countries.filter(({ languages }) => 'fra' in languages).length)
  await page.getByLabel('Currency').selectOption('EUR')
  await counts(page, countries.filter((country) => 'fra' in country.languages && 'EUR' in country.currencies).length)
  await page.getByRole('button', { name: 'Clear all' }).click()
  await page.getByLabel('Borders on').selectOption('DEU')
  await counts(page, countries.filter(({ borders }) => borders.includes('DEU')).length)
  await page.getByRole('button', { name: 'Clear all' }).click()
  await page
    .locator('label', { has: page.getByText('Order', { exact: true }) })
    .getByRole('combobox')
    .selectOption('largest')
  await page.getByTestId('country-row').first().getByText('Russia').waitFor()
})

test('each facet counts what one would see by choosing it', async (t) => {
  const page = await welcomed(t, 'Alice')
  await open(page, '#/countries?language=eng')
  const english = countries.filter(({ languages }) => 'eng' in languages)
  await counts(page, english.length)
  for (const region of new Set(english.map((country) => country.region))) {
    const count = english.filter((country) => country.region === region).length
    await page
      .locator('label', { has: page.getByTestId(`facet-region-${region}`) })
      .getByText(String(count))
      .waitFor()
  }
})

test('marks and the journey they make outlive a reload', async (t) => {
  const page = await welcomed(t, 'Alice')
  await open(page, '#/countries?region=Oceania')
  await page.getByTestId('been-AUS').click()
  await pressed(page, 'been-AUS')
  await page.getByTestId('want-FJI').click()
  await pressed(page, 'want-FJI')
  await open(page, '#/country/NZL')
  await page.getByTestId('been-NZL').click()
  await page.getByTestId('year').fill('2019')
  await page.getByTestId('year').press('Enter')
  await page.reload()
  await page.waitForFunction(() => document.querySelector('[data-testid=year]')?.value === '2019')
  await open(page, '#/')
  await page.getByTestId('tally').getByText('2 of 250').waitFor()
  await page.getByRole('link', { name: 'Oceania 2 of 27' }).waitFor()
  await page.getByRole('link', { name: 'Fiji' }).waitFor()
})

test('with the network off the app opens, and a note is written, kept and sent later', async (t) => {
  const page = await welcomed(t, 'Alice', { database: 'offline' })
  await synced(page)
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
  await page.reload()
  await page.context().setOffline(true)
  await page.reload()
  await state(page, 'offline')
  await writeNote(page, 'ISL', 'Rain in Vík', 'Black sand, and no umbrella.')
  await page.reload()
  await page.getByTestId('note-words').getByText('Black sand').waitFor()
  await page.locator('[data-testid=sync-state][data-pending="1"]').waitFor()
  await page.context().setOffline(false)
  await synced(page)
  await page.locator('[data-testid=sync-state][data-pending="0"]').waitFor()
  const [note] = await notesOnServer('offline')
  assert.equal(note.title, 'Rain in Vík')
  assert.equal(note.firkin.author, 'Alice')
})

test('two people exchange a note, change it apart from each other, and review the conflict', async (t) => {
  const alice = await welcomed(t, 'Alice', { database: 'shared' })
  const bob = await welcomed(t, 'Bob', { database: 'shared' })
  await writeNote(alice, 'JPN', 'Kyoto', 'Wet path, tall cedars.')
  await open(bob, '#/notes')
  await bob.getByTestId('note-card').click()
  await bob.getByTestId('note-words').getByText('Wet path, tall cedars.').waitFor()
  await bob.getByText('Alice', { exact: true }).waitFor()

  await bob.context().setOffline(true)
  await state(bob, 'offline')
  await editNote(bob, 'Wet path, tall cedars. A cat.')
  await alice.goto(new URL(new URL(bob.url()).hash, alice.url()).href)
  await editNote(alice, 'Dry path, tall cedars.')
  await synced(alice)
  await bob.context().setOffline(false)

  await bob.getByTestId('review-count').waitFor()
  await bob.getByTestId('contested').getByRole('link').click()
  await bob.getByTestId('version').nth(1).waitFor()
  assert.equal(await bob.getByTestId('version').count(), 2)
  await bob.getByRole('article').filter({ hasText: 'Alice' }).locator('ins', { hasText: 'Dry' }).waitFor()
  await bob.getByTestId('combine').click()
  await bob.getByTestId('note-text').fill('Dry path, tall cedars. A cat.')
  await bob.getByTestId('combine-save').click()
  await bob.getByText('Nothing to review').waitFor()

  await alice.getByTestId('note-words').getByText('Dry path, tall cedars. A cat.').waitFor()
  await alice.getByTestId('review-count').waitFor({ state: 'detached' })
  await synced(bob)
  const [note] = await notesOnServer('shared')
  assert.equal(note.text, 'Dry path, tall cedars. A cat.')
  assert.equal(note._conflicts, undefined)
})

test('a note that changes elsewhere while it is being edited is not overwritten unasked', async (t) => {
  const alice = await welcomed(t, 'Alice', { database: 'overtaken' })
  const bob = await welcomed(t, 'Bob', { database: 'overtaken' })
  await writeNote(alice, 'PRT', 'Ferry', 'At dusk.')
  await open(bob, '#/notes')
  await bob.getByTestId('note-card').click()
  await bob.getByTestId('note-edit').click()
  await bob.getByTestId('note-text').fill('At dawn, I think.')
  await editNote(alice, 'At dusk, with sardines.')
  await bob.getByTestId('overtaken').getByText('At dusk, with sardines.').waitFor()
  assert.equal(await bob.getByTestId('note-text').inputValue(), 'At dawn, I think.')
  assert.ok(await bob.getByTestId('note-save').isDisabled())
  await bob.getByRole('button', { name: 'Save mine over it' }).click()
  await alice.getByTestId('note-words').getByText('At dawn, I think.').waitFor()
  assert.equal(await alice.getByTestId('review-count').count(), 0)
})

test('a removed note can be brought back, here and on the other device', async (t) => {
  const alice = await welcomed(t, 'Alice', { database: 'removed' })
  const bob = await welcomed(t, 'Bob', { database: 'removed' })
  await writeNote(alice, 'MAR', 'Night market', 'Oranges, smoke, drums.')
  await open(bob, '#/notes')
  await bob.getByTestId('note-card').waitFor()
  await alice.getByTestId('note-remove').click()
  await bob.getByTestId('note-card').waitFor({ state: 'detached' })
  await alice.getByRole('button', { name: 'Undo' }).click()
  await bob.getByTestId('note-card').getByText('Night market').waitFor()
})

test('two people who mark the same country alike have nothing to review', async (t) => {
  const pages = []
  for (const name of ['Alice', 'Bob']) {
    const page = await welcomed(t, name, { database: 'alike' })
    await synced(page)
    await page.context().setOffline(true)
    await open(page, '#/country/PER')
    await page.getByTestId('been-PER').click()
    await pressed(page, 'been-PER')
    pages.push(page)
  }
  for (const page of pages) {
    await page.context().setOffline(false)
    await synced(page)
  }
  for (const page of pages) assert.equal(await page.getByTestId('review-count').count(), 0)
})

test('a server that is gone is told in plain words, and the sync mends itself when it is back', async (t) => {
  const page = await welcomed(t, 'Alice', { database: 'gone' })
  await synced(page)
  const port = new URL(serverUrl).port
  await server.stop()
  await open(page, '#/country/GEO')
  await page.getByTestId('want-GEO').click()
  await state(page, 'error')
  await open(page, '#/sync')
  await page.getByRole('alert').getByText('cannot be reached').waitFor()
  await page.getByTestId('sync-detail').getByText('1 change waits to be sent').waitFor()
  server = await startServer(port)
  await page.getByTestId('sync-retry').click()
  await synced(page)
  await page.getByTestId('sync-detail').getByText('Nothing waits to be sent').waitFor()
})

test('the sync can be turned off and on, and an address that is none is refused', async (t) => {
  const page = await welcomed(t, 'Alice', { database: 'switch' })
  await open(page, '#/sync')
  await synced(page)
  await page.getByTestId('sync-switch').uncheck()
  await state(page, 'off')
  await page.getByTestId('server').fill('not an address')
  await page.getByTestId('server-save').click()
  await page.getByText('This is not an address.').waitFor()
  await page.getByTestId('server').fill(`${serverUrl}/switch`)
  await page.getByTestId('sync-switch').check()
  await synced(page)
})

// What people do.

async function newPage(t) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  t.after(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(patience_ms)
  page.on('pageerror', (error) => assert.fail(`the page failed: ${error.message}`))
  return page
}

/** A page past the welcome; it syncs with `database` if one is named. */
async function welcomed(t, name, { database } = {}) {
  const page = await newPage(t)
  const sync = database === undefined ? '' : `?sync=${encodeURIComponent(`${serverUrl}/${database}`)}`
  if (database !== undefined) await fetch(`${serverUrl}/${database}`, { method: 'PUT' })
  await page.goto(`${appUrl}/${sync}`)
  await page.getByTestId('name').fill(name)
  await page.getByTestId('start').click()
  await page.getByTestId('tally').waitFor()
  return page
}

async function open(page, hash) {
  await page.evaluate((address) => {
    location.hash = address
  }, hash)
}

async function writeNote(page, code, title, text) {
  await open(page, `#/country/${code}`)
  await page.getByTestId('write-note').click()
  await page.getByTestId('note-title').fill(title)
  await page.getByTestId('note-text').fill(text)
  await page.getByTestId('note-save').click()
  await heading(page, title)
}

async function editNote(page, text) {
  await page.getByTestId('note-edit').click()
  await page.getByTestId('note-text').fill(text)
  await page.getByTestId('note-save').click()
  await page.getByTestId('note-words').getByText(text).waitFor()
}

async function heading(page, text) {
  await page.getByRole('heading', { level: 1, name: text }).waitFor()
}

async function counts(page, count) {
  await page
    .getByTestId('result-count')
    .getByText(count === 1 ? '1 country' : `${count} countries`, { exact: true })
    .waitFor()
}

async function pressed(page, control) {
  await page.locator(`[data-testid=${control}][aria-pressed=true]`).waitFor()
}

async function state(page, name) {
  await page.locator(`[data-testid=sync-state][data-state=${name}]`).waitFor()
}

const synced = (page) => state(page, 'synced')

async function notesOnServer(database) {
  const answer = await fetch(`${serverUrl}/${database}/_all_docs?include_docs=true&conflicts=true`)
  const { rows } = await answer.json()
  return rows.map(({ doc }) => doc).filter(({ kind }) => kind === 'note')
}

// What runs.

function startServer(port) {
  const binary = join(root, 'target/release/firkin-server')
  const listen = `127.0.0.1:${port}`
  return start(binary, ['--listen', listen, '--data', folder, '--open', '--cors', appUrl], /listening on (\S+)/)
}

async function start(command, parameters, ready) {
  const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const url = await new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
      const found = ready.exec(text)
      if (found) resolve(found[1])
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${command} ended with ${code}: ${text}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return { url, stop }
}

async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}
