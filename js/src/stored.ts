// What is stored of a database, apart from its engine: who may have it, and its end.

import { loadEngine } from './engine.js'
import { storageFailed } from './errors.js'
import { type EngineOptions, sharedName } from './messages.js'
import { deleteFiles } from './opfs.js'
import { alone } from './turns.js'

/** A database that outlives its page has one leader at a time: where that cannot be seen to, there is none. */
export function checkLocks(): void {
  if (globalThis.navigator?.locks === undefined) {
    throw storageFailed(
      'a database that outlives its page needs Web Locks, which browsers give to secure pages only (https, localhost)',
    )
  }
}

/** Deletes what is stored of a database that is closed. */
export async function destroyDatabase(name: string, options: EngineOptions, wasm: string | undefined): Promise<void> {
  if (options.storage === 'memory') return
  if (options.storage === 'opfs') return deleteFiles(name)
  const { destroy } = await loadEngine(wasm)
  await destroy(name)
}

/** Deletes what is stored of a database that cannot be opened, while nobody leads. */
export async function destroyUnopened(name: string, options: EngineOptions, wasm: string | undefined): Promise<void> {
  const shared = sharedName(name, options)
  const destroy = () => destroyDatabase(name, options, wasm)
  if (shared === undefined) return destroy()
  checkLocks()
  await alone(shared, destroy)
}
