// What the package uses of the glue of the module that merges texts and lists, in dist/wasm-glue.

export function weave(asked: string): string

export default function init(source: {
  module_or_path: URL | string | BufferSource | WebAssembly.Module
}): Promise<unknown>
