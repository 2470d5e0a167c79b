// Loads the wasm modules: each once for each thread, when it is first needed.

import { networkFailed } from './errors.js'
import initEngine, * as engine from './wasm-glue/engine.js'
import initRescue, * as rescue from './wasm-glue/rescue.js'

let loading: Promise<typeof engine> | undefined
let loadingRescue: Promise<typeof rescue> | undefined

/** The engine's module; `wasm` tells where it is, if not beside the package. */
export function loadEngine(wasm?: string): Promise<typeof engine> {
  const url = wasm === undefined ? new URL('../firkin.wasm', import.meta.url) : new URL(wasm)
  loading ??= load(initEngine, url).then(() => engine)
  // A failure is not kept: the network may be back for the next database.
  loading.catch(() => {
    loading = undefined
  })
  return loading
}

/** The module for what is seldom needed, which is found where the engine is. */
export function loadRescue(wasm?: string): Promise<typeof rescue> {
  const file = 'firkin-rescue.wasm'
  const url = wasm === undefined ? new URL('../firkin-rescue.wasm', import.meta.url) : new URL(file, wasm)
  loadingRescue ??= load(initRescue, url).then(() => rescue)
  loadingRescue.catch(() => {
    loadingRescue = undefined
  })
  return loadingRescue
}

async function load(init: typeof initEngine, url: URL): Promise<void> {
  try {
    await init({ module_or_path: url.protocol === 'file:' ? fromDisk(url) : url })
  } catch (error) {
    throw networkFailed(`the engine could not be loaded from ${url}: ${(error as Error).message}`, error)
  }
}

interface FileSystem {
  readFileSync(path: URL): Uint8Array<ArrayBuffer>
}

/** Node's `fetch` takes no file: URLs. */
function fromDisk(url: URL): Uint8Array<ArrayBuffer> {
  const { process } = globalThis as unknown as { process: { getBuiltinModule(name: string): FileSystem } }
  return process.getBuiltinModule('node:fs').readFileSync(url)
}
