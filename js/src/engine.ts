// Loads the wasm modules: each once for each thread, when it is first needed. The engine's is compiled by the page while a worker
// starts (`compile.ts`).

import { type Deferred, deferred } from './deferred.js'
import { networkFailed } from './errors.js'
import initAutomerge, * as automerge from './wasm-glue/automerge.js'
import initEngine, * as engine from './wasm-glue/engine.js'
import initRescue, * as rescue from './wasm-glue/rescue.js'

const engineUrl = new URL('../firkin.wasm', import.meta.url)

/** A page that is busy keeps the module no longer than this from its worker, which then loads it itself. */
const PAGE_MS_MAX = 5_000

/** What the page compiles of the engine for this worker, if it does: `undefined` at last where it could not. */
let fromPage: Deferred<WebAssembly.Module | undefined> | undefined

/** Loads the engine's module; `wasm` tells where it is, if not beside the package. */
export const loadEngine = loader(
  initEngine,
  engine,
  engineUrl,
  (wasm) => new URL(wasm),
  async () => fromPage && Promise.race([fromPage.promise, nothingIn(PAGE_MS_MAX)]),
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

/** The page compiles the engine's module for this worker. */
export function expectEngine(): void {
  fromPage = deferred()
}

/** What the page has compiled. */
export function takeEngine(module: WebAssembly.Module | undefined): void {
  fromPage?.resolve(module)
}

const nothingIn = (delay_ms: number) => new Promise<undefined>((resolve) => setTimeout(resolve, delay_ms))

function loader<Module>(
  init: typeof initEngine,
  module: Module,
  own: URL,
  where: (wasm: string) => URL,
  compiled = async (): Promise<WebAssembly.Module | undefined> => undefined,
) {
  let loading: Promise<Module> | undefined
  return (wasm?: string): Promise<Module> => {
    loading ??= load(init, wasm === undefined ? own : where(wasm), compiled).then(() => module)
    // A failure is not kept: the network may be back for the next database.
    loading.catch(() => {
      loading = undefined
    })
    return loading
  }
}

async function load(
  init: typeof initEngine,
  url: URL,
  compiled: () => Promise<WebAssembly.Module | undefined>,
): Promise<void> {
  try {
    const module = await compiled()
    await init({ module_or_path: module ?? (url.protocol === 'file:' ? fromDisk(url) : url) })
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
