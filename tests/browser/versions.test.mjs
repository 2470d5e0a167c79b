// Tabs with different builds of the library, as after a release while some tabs stay open.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const plain = await readFile(new URL('../../js/dist/version.js', import.meta.url), 'utf8')

/** The script that tells another build from this one only. */
function versionScript(version, protocol) {
  const script = plain
    .replace(/VERSION = '[^']*'/, `VERSION = '${version}'`)
    .replace(/PROTOCOL = \d+/, `PROTOCOL = ${protocol}`)
  assert.notEqual(script, plain)
  return script
}

const packageFolder = fileURLToPath(new URL('../../js', import.meta.url))
const profile = useProfile(
  {
    '/build-newer/dist/version.js': versionScript('0.10.2', 1),
    '/build-next/dist/version.js': versionScript('2.0.0', 2),
  },
  { folders: { '/build-newer/': packageFolder, '/build-next/': packageFolder } },
)

/** A tab with this build, or with another. */
async function openTab(name, build = '') {
  const page = await profile.open()
  await page.evaluate(
    async ([name, build]) => {
      const { Firkin } = build === '' ? window : await import(`/build-${build}/dist/index.js`)
      window.db = new Firkin(name)
      window.outdated = []
      db.on('outdated', (detail) => outdated.push(detail))
      db.on('leader', ({ leading }) => {
        window.leading = leading
      })
      window.write = (id) =>
        db.put({ _id: id }).then(
          () => 'ok',
          ({ status, code }) => ({ status, code }),
        )
    },
    [name, build],
  )
  return page
}

const write = (page, id) => page.evaluate((id) => write(id), id)
const isOutdated = (page) => eventually(page, () => outdated.length > 0)

test('the version that the package tells of itself is that of the package', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../js/package.json', import.meta.url), 'utf8'))
  assert.ok(plain.includes(`VERSION = '${version}'`))
})

test('a tab is told of a newer version in another, and both go on where they understand each other', async () => {
  const older = await openTab('compatible')
  assert.equal(await write(older, 'a'), 'ok')
  const newer = await openTab('compatible', 'newer')
  assert.equal(await write(newer, 'b'), 'ok')
  await isOutdated(older)
  assert.deepEqual(await older.evaluate(() => outdated), [{ version: '0.10.2', own: '0.1.0' }])
  assert.equal(await write(older, 'c'), 'ok')
  assert.deepEqual(await newer.evaluate(() => [outdated, leading]), [[], false])
  await older.close()
  await eventually(newer, () => leading)
  assert.equal((await newer.evaluate(() => db.info())).doc_count, 3)
  await newer.close()
})

test('a leader that a newer tab does not understand any more leaves to it, and its calls fail as outdated', async () => {
  const older = await openTab('incompatible')
  assert.equal(await write(older, 'a'), 'ok')
  const [started, newer] = await Promise.all([
    // What is under way is done before it leaves.
    older.evaluate(() => Promise.all(Array.from({ length: 50 }, (_, n) => write(`b${n}`)))),
    openTab('incompatible', 'next'),
  ])
  assert.equal(await write(newer, 'c'), 'ok')
  await isOutdated(older)
  assert.equal(await newer.evaluate(() => leading), true)
  assert.deepEqual(await write(older, 'd'), { status: 503, code: 'outdated' })
  const written = started.filter((outcome) => outcome === 'ok').length
  assert.equal((await newer.evaluate(() => db.info())).doc_count, 2 + written)
  await older.evaluate(() => db.close())
  for (const page of [older, newer]) await page.close()
})

test('a tab that is too old for the leader fails as outdated, and never leads', async () => {
  const newer = await openTab('joins late', 'next')
  assert.equal(await write(newer, 'a'), 'ok')
  const older = await openTab('joins late')
  assert.deepEqual(await write(older, 'b'), { status: 503, code: 'outdated' })
  assert.equal(await older.evaluate(() => db.ready.catch(({ code }) => code)), 'outdated')
  await newer.close()
  assert.deepEqual(await write(older, 'c'), { status: 503, code: 'outdated' })
  await older.close()
})

test('a database that a newer version has laid out is refused as too new, and left as it is', async () => {
  const page = await profile.open()
  const error = await page.evaluate(async () => {
    const opening = indexedDB.open('firkin:laid out', 99)
    await new Promise((resolve) => {
      opening.onsuccess = resolve
    })
    opening.result.close()
    return new Firkin('laid out').ready.catch(({ status, code, reason }) => ({ status, code, reason }))
  })
  assert.deepEqual([error.status, error.code], [500, 'format_too_new'])
  assert.match(error.reason, /99/)
  await page.close()
})
