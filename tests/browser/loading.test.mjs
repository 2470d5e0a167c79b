// The engine's module, which the page compiles while the worker starts: where it cannot, the worker loads the module itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useProfile } from './profile.mjs'

const profile = useProfile()

const hindrances = {
  'may not compile': () => {
    WebAssembly.compileStreaming = () => {
      throw new TypeError('not here')
    }
  },
  'cannot fetch the module': () => {
    window.fetch = () => Promise.reject(new TypeError('not here'))
  },
  'has no WebAssembly': () => {
    delete window.WebAssembly
  },
  'never has the module': () => {
    WebAssembly.compileStreaming = () => new Promise(() => {})
  },
}

for (const [what, hinder] of Object.entries(hindrances)) {
  test(`a database opens on a page that ${what}`, async () => {
    const page = await profile.open()
    await page.evaluate(hinder)
    const found = await page.evaluate(async () => {
      const db = new Firkin('loading')
      await db.put({ _id: 'a', n: 1 })
      const { n } = await db.get('a')
      const names = await Firkin.list()
      await db.destroy()
      return { n, names }
    })
    assert.deepEqual(found, { n: 1, names: ['loading'] })
    await page.close()
  })
}

test('opening IndexedDB while the worker starts makes no database where there is none', async () => {
  const page = await profile.open()
  await page.route('**/dist/worker.js', (route) => route.abort())
  const isNew = await page.evaluate(async () => {
    await new Firkin('never').ready.catch(() => {})
    // Comes after what the page has asked for.
    const opening = indexedDB.open('firkin:never')
    return new Promise((resolve) => {
      opening.onupgradeneeded = ({ oldVersion }) => {
        resolve(oldVersion === 0)
        opening.transaction.abort()
      }
      opening.onsuccess = () => resolve(false)
    })
  })
  assert.equal(isNew, true)
  await page.close()
})

/** How often a page or a worker has asked for the module. */
const loads = () => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/firkin.wasm')).length

test('databases of one page have one module, compiled by the page', async () => {
  const page = await profile.open()
  await page.evaluate(async () => {
    window.databases = ['one', 'two', 'three'].map((name) => new Firkin(name))
    await Promise.all(databases.map((db) => db.ready))
  })
  assert.equal(await page.evaluate(loads), 1)
  assert.deepEqual(await Promise.all(page.workers().map((worker) => worker.evaluate(loads))), [0, 0, 0])
  await page.evaluate(() => Promise.all(databases.map((db) => db.destroy())))
})
