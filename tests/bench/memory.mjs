// How much memory the engine's module has grown to at a number of small documents, in a real page over IndexedDB.
//
// A module's memory never shrinks, so it is looked at after each piece of work: after all is written, after reads and writes of
// every kind, and the same in another browser process that opens what the first has left. The worker tells it: there the module
// runs.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launchProfile, openPage } from '../support/browser.mjs'
import { faultyWorker } from '../support/faulty-worker.mjs'
import { serveStatic } from '../support/static-server.mjs'

/** The engine's memory at a million small documents is to be no more. */
export const barBytes = 96 * 2 ** 20
export const barDocuments = 1_000_000

/** How many documents are written at a time. */
const step = 10_000
/** How many are written one by one, after the reads: to a shelf that is looked for. */
const late = 100

/** To be run in the worker: answers whoever asks how many bytes its module's memory has. */
function tellsMemory() {
  let memory
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const plain = WebAssembly[name]
    WebAssembly[name] = async (...all) => {
      const made = await plain.apply(WebAssembly, all)
      memory ??= (made.instance ?? made).exports.memory
      return made
    }
  }
  const channel = new BroadcastChannel('memory')
  channel.onmessage = ({ data }) => {
    if (data === 'ask') channel.postMessage(memory.buffer.byteLength)
  }
}

/** To be run in the page: small documents of the numbers from `start` up to `end`. */
async function write([start, end]) {
  const document = (n) => ({
    _id: `doc-${String(n).padStart(8, '0')}`,
    shelf: `s${n % 10_000}`,
    score: (n * 7919) % 1_000_003,
    name: `Name ${n}`,
    done: n % 2 === 0,
  })
  const rows = await db.bulkDocs(Array.from({ length: end - start }, (_, index) => document(start + index)))
  return rows.filter(({ ok }) => ok).length
}

/** To be run in the page: reads and writes of every kind; how many documents came back. */
async function use([count, late]) {
  let found = 0
  for (let n = 0; n < 2000; n += 1) {
    const { _id } = await db.get(`doc-${String((n * 7919) % count).padStart(8, '0')}`)
    found += _id === undefined ? 0 : 1
  }
  for (let n = 0; n < 100; n += 1) found += (await db.find({ selector: { shelf: `s${n}` } })).docs.length
  for (let n = 0; n < 50; n += 1) {
    const query = { selector: { score: { $gt: n * 100 } }, sort: ['score'], limit: 20 }
    found += (await db.find(query)).docs.length
  }
  for (let n = 0; n < late; n += 1) await db.put({ _id: `late-${Math.random()}`, shelf: 's1', n })
  return found
}

/** To be run in the page: how many bytes the module's memory has. */
function ask() {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel('memory')
    channel.onmessage = ({ data }) => {
      if (typeof data !== 'number') return
      channel.close()
      resolve(data)
    }
    channel.postMessage('ask')
  })
}

/** How many documents `use` is to find: what a walk over all of them finds. */
function expected(count) {
  const onShelves = Array.from({ length: count }, (_, n) => n % 10_000).filter((shelf) => shelf < 100).length
  const scores = Array.from({ length: count }, (_, n) => (n * 7919) % 1_000_003)
  const above = (bound) => Math.min(20, scores.filter((score) => score > bound).length)
  return 2000 + onShelves + Array.from({ length: 50 }, (_, n) => above(n * 100)).reduce((sum, one) => sum + one)
}

/** Measures at `count` documents: `[{ after, bytes }]`, told one by one as they are known. */
export async function measureMemory(count, tell = () => {}) {
  const { origin, stop } = await serveStatic({ '/dist/worker.js': faultyWorker(tellsMemory) })
  const folder = await mkdtemp(join(tmpdir(), 'firkin-memory-'))
  const rows = []
  let context
  const open = async () => {
    context = await launchProfile(folder)
    const page = await openPage(context, origin)
    await page.evaluate(() => {
      window.db = new Firkin('memory')
      return db.ready
    })
    return page
  }
  const look = async (page, after) => {
    rows.push({ after, bytes: await page.evaluate(ask) })
    tell(rows.at(-1))
  }
  const work = async (page, after, found) => {
    const answer = await page.evaluate(use, [count, late])
    if (answer !== found) throw new Error(`${answer} documents were found, and not ${found}`)
    await look(page, after)
  }
  try {
    const page = await open()
    await look(page, 'opening')
    for (let start = 0; start < count; start += step) {
      const end = Math.min(count, start + step)
      const written = await page.evaluate(write, [start, end])
      if (written !== end - start) throw new Error(`${written} of ${end - start} documents were written`)
    }
    await look(page, `${count} documents`)
    const found = expected(count)
    await work(page, 'reads and writes', found)
    await context.close()
    const again = await open()
    await look(again, 'opening again')
    await work(again, 'reads and writes again', found + late)
  } finally {
    await context?.close()
    await stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return rows
}
