// What a database is opened with is looked at before anything is begun: an option that cannot be honoured is refused, and
// not passed over. What a value means, and whether it is one, is the engine's to judge.

import { badRequest } from './errors.js'
import type { DatabaseOptions } from './types.js'

/** The elements of an array that the index has by their positions are those of 0 to 31. */
const THROUGH_ARRAY = /^(?:\[\]|[12]?\d|3[01])$/

/** A 400 `bad_request` that names what cannot be honoured. */
export function checkOptions(options: DatabaseOptions): void {
  if (options.index !== undefined) checkIndex(options.index)
}

function checkIndex(index: unknown): void {
  const { exclude = [], ...others } = { ...(index as { exclude?: unknown }) }
  const isRecord = typeof index === 'object' && index !== null && !Array.isArray(index)
  if (!isRecord || Object.keys(others).length > 0) throw badRequest('index is { exclude: [path, …] }, and nothing else')
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
