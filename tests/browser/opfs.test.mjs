// Databases in OPFS: what is asked of the platform's files, beside what holds of every storage.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** A page, and in its workers `inFiles(database, work)`: `work(folder)`, as text, with the folder of a database's files. */
async function openPage() {
  const page = await profile.open()
  await page.evaluate(() => {
    window.refusal = (promise) =>
      promise.then(
        () => 'done',
        ({ status, name, reason }) => ({ status, name, reason }),
      )
    window.inFiles = (database, work) => {
      const script = `
        onmessage = async () => {
          const root = await navigator.storage.getDirectory()
          const folder = await (await root.getDirectoryHandle('firkin', { create: true })).getDirectoryHandle(
            ${JSON.stringify(database)}, { create: true })
          postMessage((await (${work})(folder)) ?? 'done')
        }`
      const worker = new Worker(URL.createObjectURL(new Blob([script])))
      const answered = new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data)
      })
      worker.postMessage('')
      return answered.then((answer) => [worker, answer])
    }
  })
  return page
}

test('databases of one name in OPFS and in IndexedDB are two, are listed once, and are destroyed each by itself', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const inFiles = new Firkin('twice', { storage: 'opfs' })
    const inRecords = new Firkin('twice', { storage: 'indexeddb' })
    await Promise.all([inFiles.put({ _id: 'a', in: 'files' }), inRecords.put({ _id: 'a', in: 'records' })])
    const read = [(await inFiles.get('a')).in, (await inRecords.get('a')).in, (await inFiles.info()).storage]
    const named = async () => (await Firkin.list()).filter((name) => name === 'twice').length
    const both = await named()
    await inRecords.destroy()
    const left = [await named(), (await inFiles.get('a')).in]
    await inFiles.destroy()
    return { read, both, left, none: await named() }
  })
  assert.deepEqual(seen, { read: ['files', 'records', 'opfs'], both: 1, left: [1, 'files'], none: 0 })
})

test('names that no file could have are names of databases', async () => {
  const page = await openPage()
  const names = ['..', 'a/b\\c', 'Ä 😀 %', 'upper', 'UPPER', '.']
  const seen = await page.evaluate(async (names) => {
    for (const name of names) await new Firkin(name, { storage: 'opfs' }).put({ _id: 'own', name })
    const read = []
    for (const name of names) read.push((await new Firkin(name, { storage: 'opfs' }).get('own')).name)
    return { read, listed: await Firkin.list() }
  }, names)
  assert.deepEqual(seen.read, names)
  assert.deepEqual(
    names.filter((name) => !seen.listed.includes(name)),
    [],
  )
  const refused = await page.evaluate(() => refusal(new Firkin('\ud800', { storage: 'opfs' }).ready))
  assert.deepEqual([refused.status, refused.name], [400, 'bad_request'])
})

test('where there is no OPFS, or no worker to use it in, a database is refused with a typed error and leaves nothing', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const inPage = await refusal(new Firkin('in-page', { storage: 'opfs', worker: false }).ready)
    const listed = (await Firkin.list()).includes('in-page')
    StorageManager.prototype.getDirectory = undefined
    const without = await refusal(new Firkin('without', { storage: 'opfs', worker: false }).ready)
    return { inPage, listed, without }
  })
  assert.deepEqual([seen.inPage.status, seen.inPage.name, seen.listed], [500, 'storage_failed', false])
  assert.match(seen.inPage.reason, /worker/)
  assert.deepEqual([seen.without.status, seen.without.name], [500, 'storage_failed'])
  assert.match(seen.without.reason, /not available/)
})

test('files that are no database, or one of a newer format, are refused, left alone, and can be destroyed', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const write = async (database, text, offset) => {
      const [worker] = await inFiles(
        database,
        `async (folder) => {
          const file = await (await folder.getFileHandle('0.a', { create: true })).createSyncAccessHandle()
          file.write(${text}, { at: ${offset} })
          file.close()
        }`,
      )
      worker.terminate()
    }
    const newer = new Firkin('newer', { storage: 'opfs' })
    await newer.put({ _id: 'a' })
    await newer.close()
    await write('newer', 'new Uint8Array([9])', 8)
    await write('garbage', `new TextEncoder().encode('something else '.repeat(1000))`, 0)
    const opened = [
      await refusal(new Firkin('garbage', { storage: 'opfs' }).ready),
      await refusal(new Firkin('newer', { storage: 'opfs' }).ready),
    ]
    const again = await refusal(new Firkin('garbage', { storage: 'opfs' }).ready)
    const doomed = new Firkin('garbage', { storage: 'opfs' })
    await doomed.ready.catch(() => {})
    await doomed.destroy()
    const anew = new Firkin('garbage', { storage: 'opfs' })
    return { opened, again, documents: (await anew.info()).doc_count }
  })
  assert.deepEqual(
    seen.opened.map(({ status, name }) => [status, name]),
    [
      [500, 'storage_failed'],
      [500, 'format_too_new'],
    ],
  )
  assert.match(seen.opened[0].reason, /damaged/)
  assert.deepEqual(seen.again, seen.opened[0])
  assert.equal(seen.documents, 0)
})

test('a damaged block is told, and repaired in its files alone: a database of that name in IndexedDB is as it was', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const inRecords = new Firkin('mended', { storage: 'indexeddb' })
    await inRecords.put({ _id: 'a' })
    const { identity } = await inRecords.info()
    const first = new Firkin('mended', { storage: 'opfs', durability: 'strict' })
    await first.bulkDocs(
      Array.from({ length: 2999 }, (_, n) => ({ _id: `d${n}`, n, text: `<${n}> words `.repeat(30) })),
    )
    // It says that what was written before is flushed: what is found damaged of that was not lost with the power.
    await first.put({ _id: 'd2999', n: 2999 })
    await first.close()
    const [worker, damaged] = await inFiles(
      'mended',
      `async (folder) => {
        for await (const name of folder.keys()) {
          if (!name.endsWith('.data')) continue
          const file = await (await folder.getFileHandle(name)).createSyncAccessHandle()
          const bytes = new Uint8Array(file.getSize())
          file.read(bytes, { at: 0 })
          const at = new TextDecoder('latin1').decode(bytes).indexOf('<1500> words')
          if (at >= 0) file.write(new Uint8Array([bytes[at] ^ 1]), { at })
          file.close()
          if (at >= 0) return 'damaged'
        }
      }`,
    )
    worker.terminate()
    const db = new Firkin('mended', { storage: 'opfs' })
    const read = await refusal(db.get('d1500'))
    const { ok, blocks, lost } = await db.repair()
    const rows = (await db.allDocs({ include_docs: true })).rows
    const answers = []
    for (const n of [2, 1499, 1500, 2999]) {
      const { docs } = await db.find({ selector: { n } })
      answers.push(docs.length === rows.filter(({ doc }) => doc.n === n).length)
    }
    await db.put({ _id: 'new', n: -1 })
    return {
      damaged,
      read,
      ok,
      blocks: blocks.length,
      lost: lost.map(({ id }) => id),
      documents: [rows.length, (await db.info()).doc_count - 1, 3000 - lost.length],
      answers,
      same: (await inRecords.info()).identity === identity,
      inRecords: (await inRecords.info()).doc_count,
    }
  })
  assert.equal(seen.damaged, 'damaged')
  assert.deepEqual([seen.read.status, seen.read.name], [500, 'storage_failed'])
  assert.equal(seen.ok, true)
  assert.equal(seen.blocks, 1)
  assert.ok(seen.lost.includes('d1500'), `lost: ${seen.lost}`)
  assert.deepEqual(new Set(seen.documents).size, 1, `${seen.documents}`)
  assert.deepEqual(seen.answers, [true, true, true, true])
  assert.deepEqual([seen.same, seen.inRecords], [true, 1])
})

test('files that are something else than journals are told by a repair too, which touches nothing', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const first = new Firkin('no journals', { storage: 'opfs' })
    await first.put({ _id: 'b' })
    await first.close()
    const [worker] = await inFiles(
      'no%20journals',
      `async (folder) => {
        for await (const name of folder.keys()) {
          if (!/[.][ab]$/.test(name)) continue
          const file = await (await folder.getFileHandle(name)).createSyncAccessHandle()
          file.truncate(0)
          file.write(new TextEncoder().encode('something else '.repeat(1000)), { at: 0 })
          file.close()
        }
      }`,
    )
    worker.terminate()
    const damaged = new Firkin('no journals', { storage: 'opfs' })
    const refused = [await refusal(damaged.ready), await refusal(damaged.repair())]
    await damaged.destroy()
    const next = new Firkin('no journals', { storage: 'opfs' })
    return { refused, documents: (await next.info()).doc_count }
  })
  for (const { status, name } of seen.refused) assert.deepEqual([status, name], [500, 'storage_failed'])
  assert.equal(seen.documents, 0)
})

test('a backup of blocks goes from files to files, and from one storage to the other, byte for byte', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const first = new Firkin('original', { storage: 'opfs' })
    await first.bulkDocs(Array.from({ length: 3000 }, (_, n) => ({ _id: `d${n}`, n, text: `words ${n} `.repeat(30) })))
    await first.remove(await first.get('d7'))
    const whole = async (db) => JSON.stringify((await db.allDocs({ include_docs: true })).rows)
    const expected = await whole(first)
    const same = []
    for (const storage of ['opfs', 'indexeddb']) {
      const copy = new Firkin(`copy in ${storage}`, { storage })
      await copy.import(first.export({ format: 'blocks' }))
      same.push((await whole(copy)) === expected, (await copy.find({ selector: { n: 1234 } })).docs.length === 1)
      await copy.put({ _id: 'after' })
      await copy.close()
      const again = new Firkin(`copy in ${storage}`, { storage })
      same.push((await again.get('after'))._id === 'after')
    }
    const back = new Firkin('back', { storage: 'opfs' })
    await back.import(new Firkin('copy in indexeddb').export({ format: 'blocks' }))
    same.push((await back.info()).doc_count === 3000)
    const full = await refusal(first.import(back.export({ format: 'blocks' })))
    return { same, full, after: (await whole(first)) === expected }
  })
  assert.deepEqual(new Set(seen.same), new Set([true]), `${seen.same}`)
  assert.equal(seen.full.status, 412)
  assert.equal(seen.after, true)
})

test('a database waits for files that another holds alone, as a leader does in browsers that know no other way', async () => {
  const page = await openPage()
  const seen = await page.evaluate(async () => {
    const [holder] = await inFiles(
      'held',
      `async (folder) => {
        self.held = await (await folder.getFileHandle('fence', { create: true })).createSyncAccessHandle()
      }`,
    )
    const db = new Firkin('held', { storage: 'opfs' })
    let opened = false
    db.ready.then(() => {
      opened = true
    })
    await new Promise((resolve) => setTimeout(resolve, 500))
    const early = opened
    holder.terminate()
    await db.put({ _id: 'a' })
    return { early, documents: (await db.info()).doc_count }
  })
  assert.deepEqual(seen, { early: false, documents: 1 })
})
