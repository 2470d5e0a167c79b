// What a database is opened with is looked at before anything is begun: an option that cannot be honoured is refused, and
// not passed over.

import { badRequest } from './errors.js'
import type { DatabaseOptions } from './types.js'

/** The elements of an array that the index has by their positions are those of 0 to 31. */
const THROUGH_ARRAY = /^(?:\[\]|[12]?\d|3[01])$/

const STORAGES = ['indexeddb', 'opfs', 'memory']
const DURABILITIES = ['relaxed', 'strict']
/** The engine counts what is in memory with 32 bits. */
const COUNT_MAX = 2 ** 32 - 1
const COUNTS = ['revsLimit', 'documentBytesMax', 'cacheBytes', 'mergeVersion'] as const

const KNOWN: { [Name in keyof Required<DatabaseOptions>]: true } = {
  storage: true,
  durability: true,
  revsLimit: true,
  documentBytesMax: true,
  cacheBytes: true,
  index: true,
  logic: true,
  merge: true,
  mergeVersion: true,
  worker: true,
  signal: true,
}

/** A 400 `bad_request` that names what cannot be honoured. */
export function checkOptions(options: DatabaseOptions): void {
  if (!isRecord(options)) throw badRequest('the options of a database are an object')
  for (const [name, value] of Object.entries(options)) {
    if (Object.hasOwn(KNOWN, name) || value === undefined) continue
    throw badRequest(`there is no option ${name}`)
  }
  const { storage = 'memory', durability = 'relaxed', worker = true, signal } = options
  if (!STORAGES.includes(storage)) {
    throw badRequest(`storage is "indexeddb", "opfs" or "memory", and not ${JSON.stringify(storage)}`)
  }
  if (!DURABILITIES.includes(durability)) throw badRequest('durability is "relaxed" or "strict"')
  for (const name of COUNTS) {
    const { [name]: count = 0 } = options
    if (!Number.isInteger(count) || count < 0 || count > COUNT_MAX) {
      throw badRequest(`${name} is a whole number from 0 to ${COUNT_MAX}`)
    }
  }
  // A document has its latest revision, whatever is forgotten.
  if (options.revsLimit === 0) throw badRequest(`revsLimit is a whole number from 1 to ${COUNT_MAX}`)
  if (typeof worker !== 'boolean') throw badRequest('worker is true or false')
  // One of another window is no instance of this window's class.
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw badRequest('signal is an AbortSignal')
  if (options.index !== undefined) checkIndex(options.index)
  if (options.merge !== undefined) checkMerge(options.merge, options.logic !== undefined)
}

const POLICIES = ['review', 'three-way', 'automerge', 'max', 'min', 'union', 'counter']

function checkMerge(merge: unknown, hasLogic: boolean): void {
  if (!isRecord(merge)) throw badRequest("merge is { path: policy }, and '*' stands for all other paths")
  for (const [path, policy] of Object.entries(merge as { [path: string]: unknown })) {
    const [[name, argument] = [], ...others] = Object.entries(isRecord(policy) ? (policy as object) : {})
    const hasArgument =
      (name === 'lastWriter' || name === 'module') && typeof argument === 'string' && others.length === 0
    if (!hasArgument && !POLICIES.includes(policy as string)) {
      const shape = `${POLICIES.map((name) => `"${name}"`).join(', ')}, { lastWriter: path } or { module: name }`
      throw badRequest(`merge: what stands at ${JSON.stringify(path)} is none of ${shape}`)
    }
    if (name === 'module' && !hasLogic)
      throw badRequest(`merge: ${JSON.stringify(path)} names a function of the logic module, and there is no logic`)
  }
}

function checkIndex(index: unknown): void {
  const { exclude = [], ...others } = (isRecord(index) ? index : { none: true }) as { exclude?: unknown }
  if (Object.keys(others).length > 0) throw badRequest('index is { exclude: [path, …] }, and nothing else')
  if (!Array.isArray(exclude) || exclude.some((path) => typeof path !== 'string')) {
    throw badRequest('index.exclude is an array of paths')
  }
  for (const path of exclude as string[]) {
    // A character behind a backslash is part of a name.
    const names = path.replace(/\\./gs, '\\').split('.')
    const through = names.find((name) => THROUGH_ARRAY.test(name))
    if (through === undefined) continue
    throw badRequest(
      `index.exclude: ${JSON.stringify(path)} goes through an array, of which all or nothing is kept out; a member of an object that is called ${through} is written \\${through}`,
    )
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
