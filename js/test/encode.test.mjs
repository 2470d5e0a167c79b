import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode } from '../dist/encode.js'

const roundTrip = (value) => decode(encode(value))

test('what JSON holds comes back as it went', () => {
  const value = { a: [1, -0.5, 1e300, 'ü\u0000\ud83d\ude00', true, null, {}, []], 'b.c': { d: '' } }
  assert.deepEqual(roundTrip(value), value)
})

test('members that are undefined are left out and toJSON is called, as JSON.stringify does', () => {
  assert.deepEqual(roundTrip({ a: undefined, b: new Date(0), c: { toJSON: () => [1] } }), {
    b: '1970-01-01T00:00:00.000Z',
    c: [1],
  })
})

test('no bytes are undefined', () => {
  assert.equal(decode(new Uint8Array()), undefined)
})

const cycle = { name: 'x' }
cycle.self = [cycle]
const strangers = {
  'a BigInt': [{ a: { b: [1n] } }, /bigint, which is found at a\.b\.0/],
  'a function': [{ f() {} }, /function, which is found at f/],
  'a symbol': [[Symbol('x')], /symbol, which is found at 0/],
  NaN: [{ n: Number.NaN }, /NaN/],
  Infinity: [{ n: [-1 / 0] }, /-Infinity/],
  'a Map': [{ m: new Map([[1, 2]]) }, /Map/],
  'a Set': [{ m: new Set([1]) }, /Set/],
  bytes: [{ m: new Uint8Array(2) }, /Uint8Array/],
  'undefined in an array': [{ a: [undefined] }, /undefined in arrays/],
  'what toJSON returns': [{ a: { toJSON: () => 1n } }, /bigint/],
  'an object that refers to itself': [cycle, /refers to itself/],
}
for (const [what, [value, reason]] of Object.entries(strangers)) {
  test(`${what} is refused with 400 bad_request`, () => {
    assert.throws(() => encode(value), { status: 400, name: 'bad_request', code: 'bad_request', reason })
  })
}
