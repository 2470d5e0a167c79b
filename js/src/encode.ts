// What is sent to the engine: JSON as UTF-8 bytes, and many documents as lines of it.
//
// The engine reads JSON and nothing else, and `JSON.stringify` silently changes what JSON cannot hold. So a value is
// looked over first, and refused before anything is sent. Left as JSON has it: a member that is `undefined`, or that has
// a symbol for a name, is left out; `toJSON` is called (a Date becomes text); an instance of a class is its own members.

import { badRequest } from './errors.js'

/** How deep the engine lets arrays and objects be nested, in a document as in a query. */
const LEVELS_MAX = 127

/** Something that JSON cannot hold, and where. */
interface Stranger {
  what: string
  /** The names on the way to it; the last comes first. */
  path: string[]
  /** Where it is the depth that is refused: what holds it, the innermost first. */
  holders?: object[]
}

/** What is never meant as data, whatever members it has been given, by the tag of `Object.prototype.toString`. */
const NO_DATA = new Set([
  ...['Promise', 'RegExp', 'Error', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Symbol', 'BigInt'],
  ...['Blob', 'File', 'ArrayBuffer', 'SharedArrayBuffer'],
])

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * The UTF-8 JSON of `value`, none at all of `undefined`; a 400 `bad_request` where JSON cannot hold it, or where it is nested too deep
 * inside its outermost level, which is not the caller's own.
 */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return bytesOf(jsonOf(value, 1) ?? '')
}

/** The UTF-8 JSON of `head` and, each on a line of its own behind it, of `docs`; refused as `encode` does. */
export function encodeLines(head: unknown, docs: readonly unknown[]): Uint8Array<ArrayBuffer> {
  const stranger = strangerIn({ docs }, '', LEVELS_MAX + 2)
  if (stranger !== undefined) throw badRequest(refusalOf(stranger))
  // No text that JSON is written as has a line break in it.
  return bytesOf([jsonOf(head), ...docs.map((doc) => JSON.stringify(doc) ?? 'null')].join('\n'))
}

/** As `encode`, as a text; `value` is all the caller's own. */
export function jsonOf(value: unknown, wrapping = 0): string {
  const stranger = strangerIn(value, '', LEVELS_MAX + wrapping)
  if (stranger !== undefined) throw badRequest(refusalOf(stranger))
  return JSON.stringify(value)
}

/** The value of UTF-8 JSON; `undefined` of no bytes at all. */
export function decode(bytes: Uint8Array): unknown {
  return bytes.byteLength === 0 ? undefined : JSON.parse(decoder.decode(bytes))
}

/** From so many characters on, bytes are made at once of the size that they have if all characters are ASCII. */
const LONG_TEXT = 65_536

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  if (text.length < LONG_TEXT) return encoder.encode(text)
  const bytes = new Uint8Array(text.length)
  // Where all of it was read, each character is one byte.
  return encoder.encodeInto(text, bytes).read === text.length ? bytes : encoder.encode(text)
}

function refusalOf({ what, path, holders }: Stranger): string {
  const where = path.reverse().slice(0, 8).join('.')
  if (holders === undefined) return `JSON has no ${what}${where === '' ? '' : `, which is found at ${where}`}`
  const refersToItself = new Set(holders).size < holders.length
  if (refersToItself) return `JSON has no value that refers to itself, which is found at ${where}`
  return `nested too deep (more than ${LEVELS_MAX} levels), at ${where}`
}

/** What is strange in the member `name` of something, `levels` of arrays and objects being left. */
function strangerIn(value: unknown, name: string | number, levels: number): Stranger | undefined {
  if (typeof value !== 'object' || value === null) return strangerAlone(value)
  if (!('toJSON' in value) || typeof value.toJSON !== 'function') return strangerWithin(value, levels)
  if (value instanceof Date && Number.isNaN(value.getTime())) return { what: 'invalid Date', path: [] }
  const shown: unknown = value.toJSON(String(name))
  return typeof shown === 'object' && shown !== null ? strangerWithin(shown, levels) : strangerAlone(shown)
}

function strangerAlone(value: unknown): Stranger | undefined {
  switch (typeof value) {
    case 'bigint':
    case 'function':
    case 'symbol':
      return { what: typeof value, path: [] }
    case 'number':
      return Number.isFinite(value) ? undefined : { what: String(value), path: [] }
    default:
      return undefined
  }
}

function strangerWithin(value: object, levels: number): Stranger | undefined {
  // A value that refers to itself is found by its depth, so that what is not that deep costs no book-keeping.
  if (levels === 0) return { what: '', path: [], holders: [value] }
  if (Array.isArray(value)) return strangerAmong(value, levels)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    const unboxed = unboxedOf(value)
    if (unboxed !== value) return strangerAlone(unboxed)
    const what = strangeKind(value)
    if (what !== undefined) return { what, path: [] }
  }
  for (const name of Object.keys(value)) {
    const stranger = strangerIn((value as Record<string, unknown>)[name], name, levels - 1)
    if (stranger !== undefined) return within(value, name, stranger)
  }
  return undefined
}

function strangerAmong(elements: unknown[], levels: number): Stranger | undefined {
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index]
    const stranger =
      element === undefined ? { what: 'undefined in arrays', path: [] } : strangerIn(element, index, levels - 1)
    if (stranger !== undefined) return within(elements, String(index), stranger)
  }
  return undefined
}

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1)

/** What a Number, a String or a Boolean that is an object stands for, as JSON takes it; else the object. */
function unboxedOf(value: object): unknown {
  const tag = tagOf(value)
  if (tag === 'Number') return Number(value)
  return tag === 'String' || tag === 'Boolean' ? undefined : value
}

/**
 * The name of what is no data although it is an object. The tag tells it of an object from another realm too, as
 * `instanceof` would not. Instances of an app's own classes are data; objects of the platform that show no members
 * (iterators, Headers, nodes, …) would be kept as `{}`.
 */
export function strangeKind(value: object): string | undefined {
  if (typeof (value as { then?: unknown }).then === 'function') return 'promise (an await was forgotten)'
  const tag = tagOf(value)
  if (NO_DATA.has(tag) || ArrayBuffer.isView(value) || value instanceof Error) return tag
  return tag === 'Object' || Object.keys(value).length > 0 ? undefined : tag
}

function within(holder: object, name: string, stranger: Stranger): Stranger {
  stranger.path.push(name)
  stranger.holders?.push(holder)
  return stranger
}
