// Compiles the engine's module in a page, while its worker starts.

const engineUrl = new URL('../firkin.wasm', import.meta.url)

const compiling = new Map<string, Promise<WebAssembly.Module>>()

/**
 * Compiles the engine's module, once for all workers of the page. `undefined` where that fails: a worker that loads the module
 * itself tells why.
 */
export async function compileEngine(wasm: string = engineUrl.href): Promise<WebAssembly.Module | undefined> {
  try {
    const compiled = compiling.get(wasm) ?? WebAssembly.compileStreaming(fetch(wasm))
    compiling.set(wasm, compiled)
    return await compiled
  } catch {
    compiling.delete(wasm)
    return undefined
  }
}
