// Chromium was killed in the middle of a record of the log in which it keeps what is in IndexedDB.
//
// It goes on behind half a record then, and takes the log for corrupt when it opens it once more (google/leveldb#1287); js/src/log.ts
// has it begin another log before that. A kill that cuts a record is seldom: here the log is cut.

import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../support/browser.mjs'
import { damage, latestLog, tear } from '../support/leveldb.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** Waits until a file is there no more. */
async function isDeleted(path) {
  const isThere = () =>
    access(path).then(
      () => true,
      () => false,
    )
  for (let waited_ms = 0; await isThere(); waited_ms += 25) {
    assert.ok(waited_ms < 10_000, `the browser goes on with ${path}`)
    await pause(25)
  }
}

test('of a log that a kill has cut off in the middle of a record only that is lost, however often the browser is killed again', async () => {
  const page = await profile.open()
  await page.evaluate(async () => {
    const db = new Firkin('torn')
    for (let n = 0; n < 20; n += 1) await db.put({ _id: `first${n}` })
    await db.put({ _id: 'cut off' })
  })
  let log
  await profile.killAndStart(async () => {
    log = await latestLog(profile)
    await tear(log)
  })
  const write = async (name) => {
    const page = await profile.open()
    await page.evaluate(async (name) => {
      window.db = new Firkin('torn')
      for (let n = 0; n < 5; n += 1) await db.put({ _id: `${name}${n}` })
    }, name)
    return page
  }
  const second = await write('second')
  await isDeleted(log)
  await eventually(second, async () => (await indexedDB.databases()).every(({ name }) => name === 'firkin:torn'))
  await profile.killAndStart()
  const ids = await (await write('third')).evaluate(async () => (await db.allDocs()).rows.map(({ id }) => id))
  const names = { first: 20, second: 5, third: 5 }
  for (const [name, count] of Object.entries(names)) {
    assert.equal(ids.filter((id) => id.startsWith(name)).length, count, name)
  }
})

test('where the browser has lost the data it had, the app hears so, and the database is new', async () => {
  const page = await profile.open()
  const before = await page.evaluate(async () => {
    const db = new Firkin('damaged')
    for (let n = 0; n < 200; n += 1) await db.put({ _id: `a${n}` })
    return db.info()
  })
  await profile.killAndStart(async () => damage(await latestLog(profile)))
  const { heard, info } = await (await profile.open()).evaluate(async () => {
    const heard = []
    const db = new Firkin('damaged')
    db.on('lost', ({ reason }) => heard.push(reason))
    return { info: await db.info(), heard }
  })
  assert.equal(heard.length, 1)
  assert.match(heard[0], /corrupt/)
  assert.deepEqual([info.doc_count, info.doc_del_count], [0, 0])
  assert.notEqual(info.identity, before.identity)
})
