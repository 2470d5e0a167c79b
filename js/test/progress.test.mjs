import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Progress } from '../dist/progress.js'

const told = (more) => ({
  state: 'active',
  docs_read: 0,
  docs_written: 0,
  doc_write_failures: 0,
  bytes_read: 0,
  bytes_written: 0,
  pending: null,
  last_seq: null,
  error: null,
  ...more,
})

test('a new run of the engine counts on from the run before', () => {
  const progress = new Progress()
  const first = { docs_read: 5, docs_written: 4, doc_write_failures: 1, bytes_read: 900, bytes_written: 80 }
  progress.update(told({ state: 'idle', last_seq: '5-x', ...first }))
  progress.anotherRun()
  progress.anotherRun()
  assert.deepEqual([progress.status.state, progress.status.lastSeq, progress.status.read], ['active', '5-x', 5])
  progress.update(told({ bytes_read: 10 }))
  progress.update(told({ docs_read: 2, docs_written: 2, bytes_read: 300, bytes_written: 20, last_seq: '9-x' }))
  progress.finish('complete')
  const { read, written, bytesRead, bytesWritten, lastSeq, state } = progress.status
  assert.deepEqual([read, written, bytesRead, bytesWritten, lastSeq, state], [7, 6, 1200, 100, '9-x', 'complete'])
  assert.deepEqual(progress.result, {
    ok: true,
    docs_read: 7,
    docs_written: 6,
    doc_write_failures: 1,
    last_seq: '9-x',
  })
})

test('what it waits for is an error that goes when work goes on', () => {
  const progress = new Progress()
  const error = { status: 0, name: 'network_failed', reason: 'no way' }
  progress.update(told({ state: 'offline', error }))
  assert.equal(progress.status.error.code, 'network_failed')
  progress.update(told({}))
  assert.equal(progress.status.error, undefined)
})

test('one that was cancelled is not ok', () => {
  const progress = new Progress()
  progress.finish('cancelled')
  assert.equal(progress.result.ok, false)
  assert.equal(progress.status.state, 'cancelled')
})
