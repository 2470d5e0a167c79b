// Loads the wasm modules: each once for each thread, when it is first needed.

import { networkFailed } from './errors.js'
import initAutomerge, * as automerge from './wasm-glue/automerge.js'
import initEngine, * as engine from './wasm-glue/engine.js'
import initRescue, * as rescue from './wasm-glue/rescue.js'

/** Loads the engine's module; `wasm` tells where it is, if not beside the package. */
export const loadEngine = loader(
  initEngine,
  engine,
  new URL('../firkin.wasm', import.meta.url),
  (wasm) => new URL(wasm),
)

/** Loads the module for what is seldom needed, which is found where the engine is. */
export const loadRescue = loader(
  initRescue,
  rescue,
  new URL('../firkin-rescue.wasm', import.meta.url),
  (wasm) => new URL('firkin-rescue.wasm', wasm),
)

/** Loads the module that merges texts and lists, which is found where the engine is. */
export const loadAutomerge = loader(
  initAutomerge,
  automerge,
  new URL('../firkin-automerge.wasm', import.meta.url),
  (wasm) => new URL('firkin-automerge.wasm', wasm),
)

function loader<Module>(init: typeof initEngine, module: Module, own: URL, where: (wasm: string) => URL) {
  let loading: Promise<Module> | undefined
  return (wasm?: string): Promise<Module> => {
    loading ??= load(init, wasm === undefined ? own : where(wasm)).then(() => module)
    // A failure is not kept: the network may be back for the next database.
    loading.catch(() => {
      loading = undefined
    })
    return loading
  }
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
