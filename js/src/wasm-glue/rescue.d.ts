// What the package uses of the glue of the second module, in dist/wasm-glue.

import type { Host } from './engine.js'

export function repair(name: string, options: string, host: Host, files?: unknown[]): Promise<string>

export class Restore {
  private constructor()
  static begin(name: string, options: string, format: number, files?: unknown[]): Promise<Restore>
  add(bytes: Uint8Array): Promise<void>
  finish(): Promise<void>
  free(): void
}

export default function init(source: {
  module_or_path: URL | string | BufferSource | WebAssembly.Module
}): Promise<unknown>
