// What a leader holds for its clients, over the real engine in memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '../dist/encode.js'
import { Leader } from '../dist/leader.js'

/** A leader whose outcomes are awaited by client and id. */
async function leading(t) {
  const outcomes = new Map()
  const outcomeOf = (client, id) => {
    const key = `${client}:${id}`
    if (!outcomes.has(key)) outcomes.set(key, Promise.withResolvers?.() ?? deferred())
    return outcomes.get(key)
  }
  const leader = new Leader('own', 'led', { storage: 'memory' }, undefined, {
    send: (client, outcome) => outcomeOf(client, outcome.id).resolve(outcome),
    tell: () => {},
    destroyed: () => {},
    lost: () => {},
  })
  await leader.open()
  t.after(() => leader.leave())
  let calls = 0
  /** Runs a method for a client. */
  const run = (client, method, payload, more = {}) => {
    calls += 1
    leader.receive(client, { type: 'call', id: calls, method, payload: encode(payload), ...more })
    return outcomeOf(client, calls).promise
  }
  return { leader, run }
}

function deferred() {
  let resolve
  const promise = new Promise((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

const follow = (run, client, feed) => run(client, 'live', { id: feed, query: { selector: {} } }, { feed })
const next = (run, client, feed) => run(client, 'followNext', { id: feed }, { feed })

test('what a client followed ends with it, and what others follow goes on', { timeout: 10_000 }, async (t) => {
  const { leader, run } = await leading(t)
  for (const [client, feed] of [
    ['gone', 1],
    ['there', 2],
    ['gone', 3],
  ]) {
    assert.equal((await follow(run, client, feed)).type, 'result')
  }
  const [waiting, other] = [next(run, 'gone', 1), next(run, 'there', 2)]
  leader.forget('gone')
  assert.equal((await waiting).error.name, 'unknown_feed')
  assert.equal((await next(run, 'there', 3)).error.name, 'unknown_feed')
  await run('there', 'put', { doc: { _id: 'a' } })
  assert.equal((await other).type, 'result')
})

test('news that are waited for when a leader leaves are for the next one to tell', { timeout: 10_000 }, async (t) => {
  const { leader, run } = await leading(t)
  await follow(run, 'client', 1)
  const waiting = next(run, 'client', 1)
  await leader.leave()
  assert.equal((await waiting).type, 'unserved')
})

test('what is followed is asked by one at a time', { timeout: 10_000 }, async (t) => {
  const { run } = await leading(t)
  await follow(run, 'client', 1)
  const first = next(run, 'client', 1)
  assert.equal((await next(run, 'client', 1)).error.status, 400)
  await run('client', 'followEnd', { id: 1 }, { feed: 1 })
  assert.equal((await first).error.name, 'unknown_feed')
})
