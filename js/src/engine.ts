// Loads the wasm module: once for each thread, when it is first needed.

import { networkFailed } from './errors.js'
import init, * as engine from './wasm-glue/engine.js'

let loading: Promise<typeof engine> | undefined

/** The engine's module; `wasm` tells where it is, if not beside the package. */
export function loadEngine(wasm?: string): Promise<typeof engine> {
  loading ??= load(wasm === undefined ? new URL('../firkin.wasm', import.meta.url) : new URL(wasm))
  // A failure is not kept: the network may be back for the next database.
  loading.catch(() => {
    loading = undefined
  })
  return loading
}

async function load(url: URL): Promise<typeof engine> {
  try {
    await init({ module_or_path: url.protocol === 'file:' ? fromDisk(url) : url })
  } catch (error) {
    throw networkFailed(`the engine could not be loaded from ${url}: ${(error as Error).message}`, error)
  }
  return engine
}

interface FileSystem {
  readFileSync(path: URL): Uint8Array<ArrayBuffer>
}

/** Node's `fetch` takes no file: URLs. */
function fromDisk(url: URL): Uint8Array<ArrayBuffer> {
  const { process } = globalThis as unknown as { process: { getBuiltinModule(name: string): FileSystem } }
  return process.getBuiltinModule('node:fs').readFileSync(url)
}
