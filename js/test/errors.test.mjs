import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aborted, conflict, FirkinError, networkFailed, reportOf } from '../dist/errors.js'

test('an error survives the way from one thread to another', () => {
  const sent = structuredClone(reportOf(conflict('Document update conflict.')))
  const received = new FirkinError(sent)
  assert.deepEqual(reportOf(received), {
    status: 409,
    name: 'conflict',
    reason: 'Document update conflict.',
    code: 'conflict',
  })
  assert.ok(received instanceof Error)
  assert.equal(received.message, 'conflict: Document update conflict.')
})

test('what the engine throws keeps its words, and anything else is a 500', () => {
  assert.deepEqual(reportOf({ status: 404, name: 'not_found', reason: 'missing', code: 'not_found' }), {
    status: 404,
    name: 'not_found',
    reason: 'missing',
    code: 'not_found',
  })
  assert.deepEqual(reportOf(new TypeError('x is not a function')), {
    status: 500,
    name: 'storage_failed',
    reason: 'the engine failed: x is not a function',
  })
  assert.equal(reportOf(undefined).status, 500)
})

test('the cause is kept', () => {
  const cause = new Error('below')
  assert.equal(networkFailed('no way', cause).cause, cause)
})

test('an abort is a real AbortError that says what errors of Firkin say', () => {
  const error = aborted(AbortSignal.abort('enough'))
  assert.ok(error instanceof DOMException)
  const { name, status, code, cause, reason } = error
  assert.deepEqual([name, status, code, cause, typeof reason], ['AbortError', 0, 'aborted', 'enough', 'string'])
})
