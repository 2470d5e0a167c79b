// When replications are woken.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onWake } from '../dist/wakes.js'

/** Counts wakes under a clock that the test moves; a machine that sleeps runs no timers. */
function counting(t) {
  let [wakes, now_ms] = [0, 1_000_000]
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
  t.mock.method(Date, 'now', () => now_ms)
  const end = onWake(() => {
    wakes += 1
  })
  t.after(end)
  const pass = (ms) => {
    for (let passed = 0; passed < ms; passed += 1000) {
      now_ms += 1000
      t.mock.timers.tick(1000)
    }
  }
  const sleep = (ms) => {
    now_ms += ms
  }
  return { count: () => wakes, end, pass, sleep }
}

test('a machine that slept is noticed, and timers that come a little late are not', (t) => {
  const { count, pass, sleep } = counting(t)
  pass(600_000)
  sleep(60_000)
  pass(10_000)
  assert.equal(count(), 0)
  sleep(3_600_000)
  pass(20_000)
  assert.equal(count(), 2, 'at once, and when the network has settled')
})

test('what is ended wakes nobody', (t) => {
  const { count, end, pass, sleep } = counting(t)
  end()
  sleep(3_600_000)
  pass(20_000)
  assert.equal(count(), 0)
})
