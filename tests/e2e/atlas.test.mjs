// Atlas, the demo app, as people use it: in Chromium, as built, against the real server.
//
// Each test has profiles of its own, which share nothing but the server's database that they are given.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import countries from 'world-countries'
import { editNote, heading, open, state, synced, useAtlas, writeNote } from '../support/atlas.mjs'

const atlas = useAtlas()
const { newPage, welcomed, notesOnServer } = atlas

test('the first start imports every country and shows how far it is', async (t) => {
  const page = await newPage(t)
  await page.goto(atlas.appUrl)
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
  await atlas.server.stop()
  await open(page, '#/country/GEO')
  await page.getByTestId('want-GEO').click()
  await state(page, 'error')
  await open(page, '#/sync')
  await page.getByRole('alert').getByText('cannot be reached').waitFor()
  await page.getByTestId('sync-detail').getByText('1 change waits to be sent').waitFor()
  await atlas.startServer()
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
  await page.getByTestId('server').fill(`${atlas.server.url}/switch`)
  await page.getByTestId('sync-switch').check()
  await synced(page)
})

// What people see.

async function counts(page, count) {
  await page
    .getByTestId('result-count')
    .getByText(count === 1 ? '1 country' : `${count} countries`, { exact: true })
    .waitFor()
}

async function pressed(page, control) {
  await page.locator(`[data-testid=${control}][aria-pressed=true]`).waitFor()
}
