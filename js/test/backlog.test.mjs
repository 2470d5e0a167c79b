import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backlog } from '../dist/backlog.js'
import { encode } from '../dist/encode.js'

/** A backlog that notes what it sends, to which leader, and how calls end. */
function backlogWithNotes() {
  const sent = []
  const settled = []
  let leader
  const backlog = new Backlog(
    (call) => sent.push(`${leader}:${call.id}${call.request?.again ? ' again' : ''}`),
    (outcome) => settled.push(`${outcome.id}:${outcome.type === 'refused' ? outcome.error.name : outcome.type}`),
  )
  const follow = (next) => {
    leader = next
    backlog.follow(next)
  }
  const outcome = (told, term = leader) => backlog.outcome(term, told)
  return { backlog, sent, settled, follow, outcome }
}

const call = (id, more = {}) => ({ type: 'call', id, method: 'get', payload: new Uint8Array(), ...more })
const write = (id) => call(id, { method: 'put', write: true })
const replicate = (id, replication) => call(id, { method: 'replicate', replication })
const cancel = (id, replication) => call(id, { method: 'cancelReplication', replication })
const result = (id, value) => ({ type: 'result', id, payload: value ? encode(value) : new Uint8Array() })
const refusal = (id, status, name) => ({ type: 'refused', id, error: { status, name, reason: '' } })

test('calls wait for a leader and are sent in their order', () => {
  const { backlog, sent, follow } = backlogWithNotes()
  backlog.add(write(1))
  backlog.add(call(2))
  assert.deepEqual(sent, [])
  follow('a')
  backlog.add(write(3))
  assert.deepEqual(sent, ['a:1', 'a:2', 'a:3'])
})

test('a read goes to the next leader when its leader ends', () => {
  const { backlog, sent, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(call(1))
  follow('b')
  outcome(result(1))
  assert.deepEqual([sent, settled], [['a:1', 'b:1'], ['1:result']])
})

test('a write that was sent goes to the next leader, and is done when that one says so', () => {
  const { backlog, sent, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(write(1))
  follow('b')
  outcome(result(1, { ok: true }))
  assert.deepEqual([sent, settled], [['a:1', 'b:1 again'], ['1:result']])
})

test('a refusal is passed on, also of a write that was sent twice: the second leader knows what the first did', () => {
  const { backlog, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  for (const added of [write(1), call(2)]) backlog.add(added)
  follow('b')
  outcome(refusal(1, 409, 'conflict'))
  outcome(refusal(2, 404, 'not_found'))
  assert.deepEqual(settled, ['1:conflict', '2:not_found'])
})

test('what a leader says that has been replaced is not heard', () => {
  const { backlog, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(write(1))
  follow('b')
  outcome(refusal(1, 503, 'closed'), 'a')
  assert.deepEqual(settled, [])
  outcome(result(1))
  assert.deepEqual(settled, ['1:result'])
})

test('a write has its slot to itself until it is settled', () => {
  const slots = []
  const backlog = new Backlog(
    (call) => slots.push(call.request?.slot),
    () => {},
  )
  backlog.follow('a')
  for (const added of [write(1), write(2), call(3), write(4)]) backlog.add(added)
  backlog.outcome('a', result(2))
  backlog.outcome('a', result(3))
  for (const added of [write(5), write(6)]) backlog.add(added)
  assert.deepEqual(slots, [0, 1, undefined, 2, 1, 3])
})

test('a write that the leader did not serve goes to the next', () => {
  const { backlog, sent, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(write(1))
  outcome({ type: 'unserved', id: 1 })
  follow(undefined)
  follow('b')
  assert.deepEqual([sent, settled], [['a:1', 'b:1 again'], []])
})

test('a write whose outcome arrives before the next leader is settled once', () => {
  const { backlog, sent, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(write(1))
  follow(undefined)
  outcome(result(1), 'a')
  follow('b')
  outcome(result(1))
  assert.deepEqual([sent, settled], [['a:1'], ['1:result']])
})

test('a replication begins again with the next leader, unless it was cancelled', () => {
  const { backlog, sent, settled, follow } = backlogWithNotes()
  follow('a')
  backlog.add(replicate(1, 70))
  backlog.add(replicate(2, 71))
  backlog.add(cancel(3, 71))
  follow('b')
  assert.deepEqual(sent, ['a:1', 'a:2', 'a:3', 'b:1', 'b:3'])
  assert.deepEqual(settled, ['2:aborted'])
  assert.deepEqual(
    backlog.replications().map(({ id }) => id),
    [1],
  )
})

test('a replication that is cancelled before there is a leader is never sent', () => {
  const { backlog, sent, settled, follow } = backlogWithNotes()
  backlog.add(replicate(1, 70))
  backlog.add(cancel(2, 70))
  follow('a')
  assert.deepEqual([sent, settled], [[], ['1:aborted', '2:result']])
})

test('it is empty once every call has ended', async () => {
  const { backlog, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(call(1))
  let empty = false
  const waiting = backlog.empty().then(() => {
    empty = true
  })
  await new Promise(setImmediate)
  assert.equal(empty, false)
  outcome(result(1))
  await waiting
  await backlog.empty()
})

test('news that are waited for go to the next leader, and are waited for no longer once the page leaves', async () => {
  const { backlog, sent, settled, follow, outcome } = backlogWithNotes()
  follow('a')
  backlog.add(call(1, { method: 'followNext', feed: 7 }))
  backlog.add(call(2))
  outcome({ type: 'unserved', id: 1 })
  follow('b')
  backlog.endFeeds()
  const empty = backlog.empty()
  outcome(result(2))
  await empty
  outcome(result(1))
  assert.deepEqual(
    [sent, settled],
    [
      ['a:1', 'a:2', 'b:1', 'b:2'],
      ['1:closed', '2:result'],
    ],
  )
})

test('a call that is cancelled before a leader has it is not done; of one that a leader has only a read is', () => {
  const { backlog, sent, settled, follow, outcome } = backlogWithNotes()
  for (const added of [write(1), call(2)]) backlog.add(added)
  assert.deepEqual([backlog.cancel(1), backlog.cancel(2)], [false, false])
  follow('a')
  for (const added of [write(3), call(4), call(5, { transaction: 't' })]) backlog.add(added)
  assert.deepEqual(
    [3, 4, 5, 6].map((id) => backlog.cancel(id)),
    [false, true, false, false],
  )
  for (const id of [3, 4, 5]) outcome(result(id))
  assert.deepEqual(
    [sent, settled.slice(2)],
    [
      ['a:3', 'a:4', 'a:5'],
      ['3:result', '4:result', '5:result'],
    ],
  )
})
