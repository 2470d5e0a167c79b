// What the package uses of the glue that the build generates beside the wasm module, in dist/wasm-glue.

export interface Host {
  event(name: string, json: string): void
  ask(name: string, json: string): Promise<string>
  fetch(replication: number, url: string, init: RequestInit): Promise<Response>
}

export class Engine {
  private constructor()
  readonly identity: string
  static open(name: string, options: string, host: Host, files?: unknown[]): Promise<Engine>
  call(method: string, payload: Uint8Array, request: string | undefined, again: boolean): Promise<Uint8Array>
  cancel(request: string): void
  close(): Promise<void>
  free(): void
}

export function destroy(name: string): Promise<void>
export function list(): Promise<string[]>

export default function init(source: {
  module_or_path: URL | string | BufferSource | WebAssembly.Module
}): Promise<unknown>
