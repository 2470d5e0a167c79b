// Reviews in Atlas, the demo app: what people changed apart from each other is seen side by side, decided place by place,
// merged and taken back, through the app's own screens.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { editNote, heading, open, state, synced, useAtlas, writeNote } from '../support/atlas.mjs'

const atlas = useAtlas()
const { introduced, welcomed, notesOnServer } = atlas

test('Bob decides place by place on what he and Alice changed apart, all three agree, and a merge is taken back', async (t) => {
  const [alice, iko, bob] = await Promise.all(['Alice', 'Iko', 'Bob'].map((name) => introduced(t, name, 'by-hand')))
  await writeNote(alice, 'JPN', 'Kyoto', 'Wet path, tall cedars.')
  for (const page of [iko, bob]) await openOnlyNote(page, 'Wet path, tall cedars.')
  await away(bob)
  await editNote(bob, 'Wet path, tall cedars. A cat.')
  await editNote(alice, 'Dry path, tall cedars.', 'Kyoto, third day')
  await heading(iko, 'Kyoto, third day')
  await back(bob)

  await bob.getByTestId('contested').waitFor()
  await reviewsOpen(bob, 1)
  await open(bob, '#/reviews')
  const card = bob.getByTestId('review-card')
  await card.getByText('2 versions by Alice and you').waitFor()
  await card.getByText('1 clash: Text').waitFor()
  await card.click()

  const [title, text] = [bob.getByTestId('row-title'), bob.getByTestId('row-text')]
  await title.getByText('Only Alice changed this').waitFor()
  assert.equal(await title.getByTestId('outcome').innerText(), 'Kyoto, third day')
  assert.ok(await radio(bob, 'Title: Alice').isChecked())
  await text.getByText('Clash: yours to decide').waitFor()
  assert.equal(await text.getByTestId('option').filter({ hasText: 'Alice' }).locator('ins').innerText(), 'Dry')
  assert.equal(await text.getByTestId('option').filter({ hasText: 'Before' }).locator('del').first().innerText(), 'Wet')
  await bob.getByTestId('merge').click()
  await bob.getByText('One clash is still to decide.').waitFor()
  assert.equal((await notesOnServer('by-hand'))[0]._conflicts.length, 1)

  await radio(bob, 'Text: Before').focus()
  for (const key of ['Space', 'ArrowRight', 'ArrowRight']) await bob.keyboard.press(key)
  const seen = await text.getByTestId('outcome').innerText()
  assert.equal(seen, await text.getByTestId('option').nth(2).locator('.option-words').innerText())
  await radio(bob, 'Text: your own').check()
  await bob.getByTestId('own-value').fill('Dry path, tall cedars. A cat.')
  await bob.getByText('What will stand is decided.').waitFor()
  await bob.getByTestId('merge').click()
  await bob.getByText('Nothing to review').waitFor()

  await agree([alice, iko, bob], 'by-hand', { title: 'Kyoto, third day', text: 'Dry path, tall cedars. A cat.' })
  await bob.getByTestId('revision').filter({ hasText: 'Merged by Bob' }).getByText('shown').waitFor()
  assert.match(
    await bob.getByTestId('revision-tree').getAttribute('aria-label'),
    /^Revision tree: 5 revisions, 1 open branch, 1 merge$/,
  )

  await bob.getByTestId('history-undo').click()
  await bob.getByText('The merge is undone').waitFor()
  for (const page of [alice, iko, bob]) await reviewsOpen(page, 1)
  assert.deepEqual(await sides(bob), ['Alice', 'Mine'])
  await open(iko, '#/reviews')
  await iko.getByTestId('review-card').click()
  await iko.getByTestId('side').nth(2).waitFor()
  assert.deepEqual(await sides(iko), ['Alice', 'Bob'])
  await iko.getByRole('button', { name: 'Keep Alice’s' }).click()
  await agree([alice, iko, bob], 'by-hand', { title: 'Kyoto, third day', text: 'Dry path, tall cedars.' })
})

test('of three versions each place is taken from another, and Undo brings all three back', async (t) => {
  const people = await Promise.all(['Alice', 'Iko', 'Bob'].map((name) => welcomed(t, name, { database: 'three' })))
  const [alice, iko, bob] = people
  await writeNote(alice, 'NOR', 'Night train', 'Two bunks.')
  for (const page of [iko, bob]) await openOnlyNote(page, 'Two bunks.')
  for (const page of people) await away(page)
  await editNote(alice, 'Two bunks and a window.', 'Night train to Oslo')
  await editNote(iko, 'Two bunks and snow.', 'The slow train')
  await editNote(bob, 'Three bunks.', 'Night train')
  for (const page of people) await back(page)

  for (const page of people) await reviewsOpen(page, 1)
  await open(iko, '#/reviews')
  await iko.getByText('3 versions by').waitFor()
  await iko.getByTestId('review-card').click()
  await iko.getByTestId('side').nth(3).waitFor()
  assert.deepEqual(await sides(iko), ['Alice', 'Bob', 'Mine'])
  await radio(iko, 'Title: Mine').check()
  await radio(iko, 'Text: Bob').check()
  await iko.getByTestId('merge').click()
  await iko.getByRole('status').getByRole('button', { name: 'Undo' }).waitFor()
  await agree([alice, bob], 'three', { title: 'The slow train', text: 'Three bunks.' })

  await iko.getByRole('status').getByRole('button', { name: 'Undo' }).click()
  await iko.getByTestId('side').nth(3).waitFor()
  assert.deepEqual(await sides(iko), ['Alice', 'Bob', 'Mine'])
  for (const page of people) await reviewsOpen(page, 1)
  await iko.getByRole('button', { name: 'Keep mine' }).click()
  await agree(people, 'three', { title: 'The slow train', text: 'Two bunks and snow.' })
})

test('a version that goes on while one decides is shown at once, and choices which still apply are kept', async (t) => {
  const [alice, bob] = await Promise.all(['Alice', 'Bob'].map((name) => welcomed(t, name, { database: 'overtaken' })))
  await writeNote(alice, 'PRT', 'Ferry', 'At dusk.')
  await openOnlyNote(bob, 'At dusk.')
  await away(bob)
  await editNote(bob, 'At dawn.', 'The early ferry')
  await editNote(alice, 'At noon.', 'The ferry to Porto Santo')
  await back(bob)
  await bob.getByTestId('contested').getByRole('link').click()
  await radio(bob, 'Title: Before').check()
  await radio(bob, 'Text: your own').check()
  await bob.getByTestId('own-value').fill('At dawn or at noon.')

  await reviewsOpen(alice, 1)
  await editNote(alice, 'At noon, with sardines.')
  await bob.getByTestId('review-overtaken').getByText('Your choices were kept.').waitFor()
  await bob.getByTestId('row-text').getByText('At noon, with sardines.').waitFor()
  assert.ok(await radio(bob, 'Title: Before').isChecked())
  assert.equal(await bob.getByTestId('own-value').inputValue(), 'At dawn or at noon.')
  await bob.getByTestId('merge').click()
  await agree([alice, bob], 'overtaken', { title: 'Ferry', text: 'At dawn or at noon.' })
})

test('what clashes nowhere is merged by itself, listed as closed, and opened again from there', async (t) => {
  const [alice, bob] = await Promise.all(['Alice', 'Bob'].map((name) => welcomed(t, name, { database: 'itself' })))
  await writeNote(alice, 'MAR', 'Market', 'Oranges.')
  await openOnlyNote(bob, 'Oranges.')
  await away(bob)
  await editNote(bob, 'Oranges, smoke, drums.')
  await editNote(alice, 'Oranges.', 'Night market')
  // Bob's device merges, and Alice's finds that done.
  await away(alice)
  await back(bob)
  await bob.getByTestId('revision').filter({ hasText: 'Merged by itself' }).waitFor()
  await bob.locator('[data-testid=sync-state][data-state=synced][data-pending="0"]').waitFor()
  await back(alice)
  await agree([alice, bob], 'itself', { title: 'Night market', text: 'Oranges, smoke, drums.' })

  await open(bob, '#/reviews')
  await bob.getByTestId('closed-row').getByText('Merged by itself').waitFor()
  await bob.getByTestId('closed-undo').click()
  for (const page of [alice, bob]) await reviewsOpen(page, 1)
  await bob.getByText('What will stand is decided.').waitFor()
  await radio(bob, 'Title: Before').check()
  await bob.getByTestId('merge').click()
  await agree([alice, bob], 'itself', { title: 'Market', text: 'Oranges, smoke, drums.' })
})

test('marks that two people set on a country apart, with nothing before them, are held against each other', async (t) => {
  const [alice, bob] = await Promise.all(['Alice', 'Bob'].map((name) => welcomed(t, name, { database: 'marks' })))
  for (const [page, mark] of [
    [alice, 'been'],
    [bob, 'want'],
  ]) {
    await synced(page)
    await away(page)
    await open(page, '#/country/PER')
    await page.getByTestId(`${mark}-PER`).click()
    await page.locator(`[data-testid=${mark}-PER][aria-pressed=true]`).waitFor()
  }
  for (const page of [alice, bob]) await back(page)
  await bob.getByTestId('contested').getByRole('link').click()
  await bob.getByTestId('no-base').waitFor()
  assert.deepEqual(await sides(bob), ['Version A', 'Version B'])
  await bob.getByTestId('row-mark').getByTestId('option').filter({ hasText: 'Been' }).getByRole('radio').check()
  await bob.getByTestId('merge').click()
  for (const page of [alice, bob]) {
    await reviewsOpen(page, 0)
    await open(page, '#/country/PER')
    await page.locator('[data-testid=been-PER][aria-pressed=true]').waitFor()
  }
})

// What people do.

async function openOnlyNote(page, text) {
  await open(page, '#/notes')
  await page.getByTestId('note-card').click()
  await page.getByTestId('note-words').getByText(text, { exact: true }).waitFor()
}

async function away(page) {
  await synced(page)
  await page.context().setOffline(true)
  await state(page, 'offline')
}

async function back(page) {
  await page.context().setOffline(false)
  await synced(page)
}

function radio(page, name) {
  return page.getByRole('radio', { name, exact: true })
}

// What they see.

/** The versions' names, in the order of the alphabet: which of them wins is up to the hash of its revision. */
async function sides(page) {
  const names = await page.getByTestId('side').locator('h2').allInnerTexts()
  return names
    .map((name) => name.replace('shown now', '').trim())
    .filter((name) => name !== 'Before')
    .sort()
}

async function reviewsOpen(page, count) {
  const badge = page.getByTestId('review-count')
  if (count === 0) await badge.waitFor({ state: 'detached' })
  else await badge.getByText(`${count} open`).waitFor()
}

/** All of them, and the server, show the same revision with these words, and nothing is left to review. */
async function agree(pages, database, { title, text }) {
  const revisions = []
  for (const page of pages) {
    await open(page, '#/notes')
    await page.getByTestId('note-card').filter({ hasText: text }).click()
    await page.getByTestId('note-words').getByText(text, { exact: true }).waitFor()
    await heading(page, title)
    await reviewsOpen(page, 0)
    await synced(page)
    const shown = page.getByTestId('revision').filter({ has: page.locator('.winner') })
    revisions.push(await shown.locator('code').innerText())
  }
  const [note] = await notesOnServer(database)
  assert.deepEqual([note.title, note.text, note._conflicts], [title, text, undefined])
  const hash = note._rev.split('-')[1]
  for (const revision of revisions)
    assert.ok(hash.startsWith(revision), `${revision} is shown, and ${hash} is the server's`)
}
