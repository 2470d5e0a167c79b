// What is sent to the engine: JSON as UTF-8 bytes.
//
// The engine reads JSON and nothing else, and `JSON.stringify` silently changes what JSON cannot hold. So a value is
// looked over first, and refused before anything is sent. Left as JSON has it: a member that is `undefined` is left
// out, and `toJSON` is called (a Date becomes text).

import { badRequest } from './errors.js'

/** Nothing but a value that refers to itself is as deep; the engine refuses what is merely too deep. */
const DEPTH_MAX = 512

/** Something that JSON cannot hold, and where; the path's last name comes first. */
interface Stranger {
  what: string
  path: string[]
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The UTF-8 JSON of `value`; a 400 `bad_request` where JSON cannot hold it. */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(jsonOf(value))
}

/** The JSON of `value`; a 400 `bad_request` where JSON cannot hold it. */
export function jsonOf(value: unknown): string {
  const stranger = strangerIn(value, 0)
  if (stranger !== undefined) {
    const path = stranger.path.reverse().slice(0, 8).join('.')
    throw badRequest(`JSON has no ${stranger.what}${path === '' ? '' : `, which is found at ${path}`}`)
  }
  return JSON.stringify(value)
}

/** The value of UTF-8 JSON; `undefined` of no bytes at all. */
export function decode(bytes: Uint8Array): unknown {
  return bytes.byteLength === 0 ? undefined : JSON.parse(decoder.decode(bytes))
}

function strangerIn(value: unknown, depth: number): Stranger | undefined {
  switch (typeof value) {
    case 'bigint':
    case 'function':
    case 'symbol':
      return { what: typeof value, path: [] }
    case 'number':
      return Number.isFinite(value) ? undefined : { what: String(value), path: [] }
    case 'object':
      return value === null ? undefined : strangerWithin(value, depth)
    default:
      return undefined
  }
}

function strangerWithin(value: object, depth: number): Stranger | undefined {
  if (depth > DEPTH_MAX) return { what: 'value that refers to itself', path: [] }
  if ('toJSON' in value && typeof value.toJSON === 'function') return strangerIn(value.toJSON(), depth + 1)
  if (Array.isArray(value)) return strangerAmong(value, depth)
  if (
    value instanceof Blob ||
    value instanceof Map ||
    value instanceof Set ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value)
  ) {
    return { what: value.constructor.name, path: [] }
  }
  for (const name of Object.keys(value)) {
    const stranger = strangerIn((value as Record<string, unknown>)[name], depth + 1)
    if (stranger !== undefined) return within(name, stranger)
  }
  return undefined
}

function strangerAmong(elements: unknown[], depth: number): Stranger | undefined {
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index]
    const stranger = element === undefined ? { what: 'undefined in arrays', path: [] } : strangerIn(element, depth + 1)
    if (stranger !== undefined) return within(String(index), stranger)
  }
  return undefined
}

function within(name: string, stranger: Stranger): Stranger {
  stranger.path.push(name)
  return stranger
}
