// Where there is no browser to ask, what is stored is unknown, and not safe.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Firkin } from '../dist/index.js'

const given = Object.getOwnPropertyDescriptor(globalThis, 'navigator')

function withNavigator(t, value) {
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true })
  t.after(() => {
    if (given === undefined) delete globalThis.navigator
    else Object.defineProperty(globalThis, 'navigator', given)
  })
}

const refuse = () => Promise.reject(new TypeError('not here'))

for (const [what, navigator] of Object.entries({
  'no navigator': undefined,
  'no storage': {},
  'no questions': { storage: {} },
  'questions that are refused': { storage: { estimate: refuse, persist: refuse, persisted: refuse } },
})) {
  test(`with ${what} nothing is told of the storage, and its data are not kept`, async (t) => {
    withNavigator(t, navigator)
    assert.deepEqual(await Firkin.estimate(), { persisted: false })
    assert.equal(await Firkin.persist(), false)
  })
}
