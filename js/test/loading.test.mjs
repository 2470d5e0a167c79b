import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Firkin, FirkinError } from '../dist/index.js'

test('an engine that is not there fails ready and every call, and the next database may find it', async () => {
  Firkin.init({ wasm: 'file:///nowhere/firkin.wasm' })
  const lost = new Firkin('lost')
  const writing = lost.put({ _id: 'a' })
  for (const failing of [lost.ready, writing, lost.info()]) {
    const error = await failing.then(assert.fail, (error) => error)
    assert.ok(error instanceof FirkinError)
    assert.deepEqual([error.status, error.name], [0, 'network_failed'])
    assert.match(error.reason, /file:\/\/\/nowhere\/firkin\.wasm/)
  }
  await lost.close()

  Firkin.init({ wasm: new URL('../firkin.wasm', import.meta.url) })
  const found = new Firkin('found')
  await found.ready
  assert.equal((await found.put({ _id: 'a' })).ok, true)
  await found.close()
})
