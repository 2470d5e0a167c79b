import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Queue } from '../dist/queue.js'

test('values come in their order, also those that are waited for, and iteration ends', async () => {
  const queue = new Queue()
  queue.push(1)
  const taken = []
  const reading = (async () => {
    for await (const value of queue) taken.push(value)
  })()
  await new Promise(setImmediate)
  queue.push(2)
  queue.push(3)
  queue.end()
  queue.push(4)
  await reading
  assert.deepEqual(taken, [1, 2, 3])
})

test('a failure comes after the values before it', async () => {
  const queue = new Queue()
  queue.push(1)
  queue.fail(new Error('broken'))
  assert.deepEqual(await queue.next(), { done: false, value: 1 })
  await assert.rejects(queue.next(), { message: 'broken' })
  assert.deepEqual(await queue.next(), { done: true, value: undefined })
})

test('leaving a loop early is told', async () => {
  let left = 0
  const queue = new Queue(() => {
    left += 1
  })
  queue.push(1)
  for await (const _ of queue) break
  assert.equal(left, 1)
  assert.deepEqual(await queue.next(), { done: true, value: undefined })
})
