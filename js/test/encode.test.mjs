import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { decode, encode, encodeLines } from '../dist/encode.js'

const roundTrip = (value) => decode(encode(value))

test('what JSON holds comes back as it went', () => {
  const value = { a: [1, -0.5, 1e300, 'ü\u0000\ud83d\ude00', true, null, {}, []], 'b.c': { d: '' } }
  assert.deepEqual(roundTrip(value), value)
})

const linesOf = (bytes) =>
  new TextDecoder()
    .decode(bytes)
    .split('\n')
    .map((line) => JSON.parse(line))

test('documents go on a line each behind the head, whatever characters are in them', () => {
  const head = { new_edits: true, options: {} }
  const text = 'line\nline\r\u2028\u2029"\\\u0000'
  assert.deepEqual(linesOf(encodeLines(head, [])), [head])
  for (const long of ['', 'a'.repeat(70_000), 'ü'.repeat(70_000), `${'a'.repeat(70_000)}\ud83d\ude00`]) {
    const docs = [{ _id: 'a', text, long }, { _id: 'b', [text]: [null, { toJSON: () => text }] }, { _id: 'c' }]
    assert.deepEqual(linesOf(encodeLines(head, docs)), JSON.parse(JSON.stringify([head, ...docs])))
  }
  const lone = { _id: 'half \ud83d of a pair', long: 'a'.repeat(70_000) }
  assert.deepEqual(linesOf(encodeLines(head, [lone])), [head, lone])
})

test('of documents on lines those are refused that JSON cannot hold, and those that are nested too deep', () => {
  const deep = (levels) => (levels === 0 ? 1 : [deep(levels - 1)])
  const fits = { _id: 'a', deep: deep(126) }
  assert.deepEqual(linesOf(encodeLines({}, [fits])), [{}, fits])
  const refused = (doc, reason) => assert.throws(() => encodeLines({}, [fits, doc]), { status: 400, reason })
  refused({ _id: 'b', deep: deep(127) }, /nested too deep/)
  refused({ _id: 'b', n: Number.NaN }, /no NaN, which is found at docs\.1\.n/)
  refused(undefined, /undefined in arrays/)
})

test('nothing is no bytes', () => {
  assert.equal(encode(undefined).byteLength, 0)
})

test('members that are undefined are left out and toJSON is called, as JSON.stringify does', () => {
  assert.deepEqual(roundTrip({ a: undefined, b: new Date(0), c: { toJSON: () => [1] } }), {
    b: '1970-01-01T00:00:00.000Z',
    c: [1],
  })
})

test('instances of classes, objects of other realms and primitives that are objects go as JSON.stringify has them', () => {
  class Point {
    #hidden = 3
    constructor(x) {
      this.x = x
    }
    get hidden() {
      return this.#hidden
    }
  }
  class Tagged extends Point {
    get [Symbol.toStringTag]() {
      return 'Tagged'
    }
  }
  const value = {
    point: new Point(1),
    tagged: new Tagged(2),
    realm: runInNewContext('({ a: [{ b: 1 }], c: new Date(0) })'),
    bare: Object.assign(Object.create(null), { d: 1 }),
    boxed: [Object(1), Object('e'), Object(true)],
    self: { toJSON: (name) => ({ name, toJSON: () => assert.fail('it is called once') }).name },
    [Symbol('left out')]: 1,
  }
  assert.deepEqual(roundTrip(value), JSON.parse(JSON.stringify(value)))
  assert.deepEqual(roundTrip(value).self, 'self')
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
  'a forgotten await': [{ v: Promise.resolve(1) }, /promise \(an await was forgotten\), which is found at v/],
  'what can be awaited': [{ v: Object.setPrototypeOf({}, Promise.prototype) }, /promise/],
  'a regular expression': [{ v: /never/ }, /RegExp, which is found at v/],
  'an Error': [{ v: new TypeError('x') }, /Error/],
  'a Map with members': [{ m: Object.assign(new Map(), { a: 1 }) }, /Map/],
  'a WeakMap': [{ m: new WeakMap() }, /WeakMap/],
  'a WeakSet': [{ m: new WeakSet() }, /WeakSet/],
  'an ArrayBuffer': [{ m: new ArrayBuffer(2) }, /ArrayBuffer/],
  'a Blob': [{ m: new Blob([]) }, /Blob/],
  'an iterator': [{ v: [1].values() }, /Array Iterator/],
  'a generator': [{ v: (function* () {})() }, /Generator/],
  'an object of the platform': [{ v: new Headers({ a: 'b' }) }, /Headers/],
  'a Number that is NaN': [{ n: Object(Number.NaN) }, /NaN/],
  'a BigInt that is an object': [{ n: Object(1n) }, /BigInt/],
  'a Symbol that is an object': [{ n: Object(Symbol('x')) }, /Symbol/],
  'a Date that is none': [{ d: new Date(Number.NaN) }, /invalid Date/],
  'a Map of another realm': [{ m: runInNewContext('new Map()') }, /Map/],
  'a RegExp of another realm': [{ m: runInNewContext('/x/') }, /RegExp/],
  'an object that refers to itself': [cycle, /refers to itself/],
}
for (const [what, [value, reason]] of Object.entries(strangers)) {
  test(`${what} is refused with 400 bad_request`, () => {
    assert.throws(() => encode(value), { status: 400, name: 'bad_request', code: 'bad_request', reason })
  })
}

function nested(levels) {
  let value = []
  for (let level = 1; level < levels; level += 1) value = [value]
  return value
}

test('what is nested too deep is refused as that, and not as what refers to itself', () => {
  const reason = /^nested too deep \(more than 127 levels\), at v\.0/
  for (const levels of [128, 600, 100_000]) {
    assert.throws(() => encode({ v: nested(levels) }), { status: 400, name: 'bad_request', reason })
  }
  assert.ok(encode({ v: nested(127) }))
  const shared = { deep: nested(60) }
  assert.ok(encode({ v: [shared, shared] }))
})
