// Backups of blocks: out of one database and into an empty one, whole or not at all.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A page with `db`, filled, and `failed(promise)`, the error that a promise ends in. */
async function filled(name) {
  const page = await profile.open()
  await page.evaluate(async (name) => {
    window.failed = (promise) =>
      promise.then(
        () => 'done',
        ({ status, name, reason }) => ({ status, name, reason }),
      )
    window.bytesOf = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer())
    window.db = new Firkin(name)
    await db.bulkDocs(Array.from({ length: 3000 }, (_, n) => ({ _id: `d${n}`, n, text: `<${n}> words `.repeat(20) })))
    const { rev } = await db.put({ _id: 'edited', n: 1 })
    await db.put({ _id: 'edited', _rev: rev, n: 2 })
    await db.putAttachment('d1', 'a', (await db.get('d1'))._rev, new Blob(['x'.repeat(300_000)]), 'text/plain')
    await db.put({ _id: 'removed' }).then((written) => db.remove('removed', written.rev))
  }, name)
  return page
}

test('what other tabs write as soon as a backup of blocks is in is not counted with it', async () => {
  const page = await filled('counted')
  const other = await profile.open()
  await other.evaluate(async () => {
    window.db = new Firkin('joined')
    await db.ready
    // What is asked while a backup comes in waits for its end.
    const begun = new Promise((resolve) => db.on('progress', ({ task }) => task === 'import' && resolve()))
    window.writing = begun.then(() => Promise.all(Array.from({ length: 200 }, (_, n) => db.put({ _id: `other ${n}` }))))
  })
  const { documents, revisions } = await page.evaluate(() =>
    new Firkin('joined').import(db.export({ format: 'blocks' })),
  )
  assert.equal((await other.evaluate(() => writing)).length, 200)
  assert.deepEqual([documents, revisions], [3002, 3002])
})

test('what one database writes out another takes in, index and attachments with it, as a replica of its own', async () => {
  const page = await filled('source')
  const outcome = await page.evaluate(async () => {
    const other = new Firkin('copy')
    const seen = []
    other.live({ selector: { n: { $lt: 2 } }, fields: ['n'] }).subscribe(({ docs }) => seen.push(docs.length))
    const told = []
    other.on('progress', (progress) => told.push(progress))
    const imported = await other.import(db.export({ format: 'blocks' }))
    const [here, there] = [await db.info(), await other.info()]
    const { docs } = await other.find({ selector: { n: { $gte: 2998 } } })
    const content = await (await other.getAttachment('d1', 'a')).text()
    const history = (await other.get('edited', { revs: true }))._revisions.start
    await other.put({ _id: 'later', n: 0 })
    await new Promise((resolve) => setTimeout(resolve, 100))
    const again = await failed(other.import(db.export({ format: 'blocks' })))
    const lines = await failed(other.import(db.export()))
    return {
      imported,
      here,
      there,
      found: docs.map(({ n }) => n),
      content: content.length,
      history,
      last: seen.at(-1),
      again,
      lines,
      told: told.filter(({ task, total }) => task === 'import' && total !== undefined),
    }
  })
  const { here, there } = outcome
  assert.deepEqual(outcome.imported, { ok: true, documents: 3002, revisions: 3002, refused: [] })
  assert.deepEqual([there.doc_count, there.doc_del_count], [here.doc_count, here.doc_del_count])
  assert.notEqual(there.identity, here.identity)
  assert.deepEqual([outcome.found, outcome.content, outcome.history], [[2998, 2999], 300_000, 2])
  assert.equal(outcome.last, 3, 'a live query goes on with what came in')
  assert.deepEqual(outcome.again, { status: 412, name: 'file_exists', reason: 'The database is not empty.' })
  assert.equal(outcome.lines, 'done')
  const { done, total } = outcome.told.at(-1)
  assert.deepEqual([outcome.told.length > 1, done], [true, total])
})

test('a backup that is damaged, cut off or of a newer format leaves the database empty and usable', async () => {
  const page = await filled('whole')
  const outcome = await page.evaluate(async () => {
    const bytes = await bytesOf(db.export({ format: 'blocks' }))
    const other = new Firkin('refusing')
    await other.ready
    const broken = bytes.slice()
    broken[bytes.length >> 1] ^= 1
    const line = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(10)))
    const head = JSON.parse(line)
    const withHead = (head) => new Blob([`${JSON.stringify(head)}\n`, bytes.subarray(bytes.indexOf(10) + 1)])
    const failures = []
    for (const blob of [
      new Blob([broken]),
      new Blob([bytes.subarray(0, -1)]),
      new Blob([bytes.subarray(0, 200_000)]),
      withHead({ ...head, firkin_blocks: 2 }),
      withHead({ ...head, format: head.format + 1 }),
      withHead({ ...head, format: 'x' }),
    ]) {
      failures.push(await failed(other.import(blob)))
    }
    const aborted = new AbortController()
    const cut = other.import(
      (async function* () {
        yield bytes.subarray(0, 400_000)
        aborted.abort()
        yield bytes.subarray(400_000)
      })(),
      { signal: aborted.signal },
    )
    const stopped = await failed(cut)
    const count = (await other.info()).doc_count
    await other.import(new Blob([bytes]))
    return { failures, stopped: stopped.name, count, after: (await other.info()).doc_count }
  })
  const names = outcome.failures.map(({ status, name }) => `${status} ${name}`)
  const [bad, newer] = ['400 bad_request', '500 format_too_new']
  assert.deepEqual(names, [bad, bad, bad, newer, newer, bad])
  assert.match(
    outcome.failures[0].reason,
    /the backup is damaged: block \d+ of segment \d+ does not match its checksum/,
  )
  assert.match(outcome.failures[1].reason, /the backup is cut off/)
  assert.deepEqual([outcome.stopped, outcome.count, outcome.after], ['AbortError', 0, 3002 - 1])
})

test('a tab that dies while a backup comes in ends that, and what others ask is answered', async () => {
  const [leader, dying] = [await filled('elsewhere'), await profile.open()]
  await leader.evaluate(async () => {
    window.target = new Firkin('interrupted')
    await target.ready
    window.bytes = await bytesOf(db.export({ format: 'blocks' }))
  })
  const url = await leader.evaluate(() => URL.createObjectURL(new Blob([bytes])))
  await dying.evaluate(async (url) => {
    const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer())
    window.target = new Firkin('interrupted')
    window.sent = 0
    target
      .import(
        (async function* () {
          yield bytes.subarray(0, 500_000)
          sent = 1
          await new Promise(() => {})
        })(),
      )
      .catch(() => {})
  }, url)
  await eventually(dying, () => sent === 1)
  const asked = leader.evaluate(async () => {
    const written = await target.put({ _id: 'asked meanwhile' })
    return [written.ok, (await target.info()).doc_count]
  })
  await dying.close()
  assert.deepEqual(await asked, [true, 1])
})

test('a format that is none is refused', async () => {
  const page = await filled('formats')
  const refused = await page.evaluate(() => {
    try {
      return String(db.export({ format: 'other' }))
    } catch ({ status, name }) {
      return { status, name }
    }
  })
  assert.deepEqual(refused, { status: 400, name: 'bad_request' })
})
