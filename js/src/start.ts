// Starts what serves a page or another thread of an app: in a worker, or where the app is.

import { compileEngine } from './compile.js'
import { type FirkinError, storageFailed } from './errors.js'
import type { FromPage, ToPage } from './messages.js'
import { type Port, portPair, threadPort } from './port.js'

/** The app's end of the line to what serves it. */
export type PagePort = Port<FromPage, ToPage>

/** Serves the app at the other end of the line in its own thread. */
type ServeInPlace = (app: Port<ToPage, FromPage>) => void

let serveInPlace: ServeInPlace | undefined
let wasmUrl: string | undefined

/** Makes known what serves an app without a worker, so that it need not be loaded when that is asked for. */
export function setInPlace(serve: ServeInPlace): void {
  serveInPlace = serve
}

/** Has `firkin.wasm` fetched from another place from now on. */
export function setWasm(url: URL | string): void {
  wasmUrl = new URL(url, globalThis.location?.href).href
}

/** Where that is, as a member of what is sent to it. */
export const wasmMember = () => (wasmUrl === undefined ? {} : { wasm: wasmUrl })

/** Starts what serves an app, in a worker or here; `fail` is called where that turns out to be impossible. */
export function start(inWorker: boolean, fail: (error: FirkinError) => void): PagePort {
  if (!inWorker) return startHere(fail)
  const worker = startWorker()
  if (worker instanceof Error) {
    const [page] = portPair<FromPage, ToPage>()
    queueMicrotask(() => fail(worker))
    return page
  }
  worker.onerror = (event) => {
    // A script that cannot be loaded is told by a bare event; anything else is an error in a script that runs.
    if (!(event instanceof ErrorEvent)) fail(storageFailed('the worker of the database could not be loaded'))
  }
  const page = threadPort<FromPage, ToPage>(worker, () => worker.terminate())
  page.post({ type: 'compiling' })
  const compiled = (module?: WebAssembly.Module) => page.post({ type: 'compiled', module })
  compileEngine(wasmUrl)
    .then(compiled)
    .catch(() => compiled())
  return page
}

/** The worker, or why a page may have none: one without an origin, as in a sandbox, may not load scripts of others. */
function startWorker(): Worker | FirkinError {
  try {
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'firkin' })
  } catch (error) {
    return storageFailed(`the worker of the database could not be started: ${(error as Error).message}`, error)
  }
}

function startHere(fail: (error: FirkinError) => void): PagePort {
  const [page, member] = portPair<FromPage, ToPage>()
  if (serveInPlace === undefined) void loadInPlace(member, fail)
  else serveInPlace(member)
  return page
}

/** What is said meanwhile is heard once it is there. */
async function loadInPlace(member: Port<ToPage, FromPage>, fail: (error: FirkinError) => void): Promise<void> {
  const early: FromPage[] = []
  member.receive = (message) => early.push(message)
  try {
    const { serveInPlace } = await import('./in-place.js')
    serveInPlace(member)
    for (const message of early) member.receive(message)
  } catch (error) {
    fail(
      storageFailed(
        `the engine could not be loaded (a service worker needs dist/index.js): ${(error as Error).message}`,
        error,
      ),
    )
  }
}
