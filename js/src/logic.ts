// The app's logic, as the engine's side sees it: a module in a thread of its own, which judges what is about to be written.
//
// The engine waits for each verdict with its writer's lock held, so **every question is answered within a limit of time**.
// A thread that goes over it is ended, be it in an endless loop, and a new one is started: the writes of that question
// fail, later ones do not. Without a worker the module runs where the engine does, and nothing ends an endless loop.

import { deferred } from './deferred.js'
import { badRequest, FirkinError } from './errors.js'
import type { FromPage, ToPage } from './messages.js'
import { type Port, portPair, threadPort } from './port.js'
import { type FromRules, serveRules, type ToRules } from './rules.js'

/** The line to where the module runs; closing it ends the thread. */
type Line = Port<ToRules, FromRules>

/** Starts a thread for a module. `fail` is called where that turns out to be impossible. */
export type StartThread = (fail: (reason: string) => void) => Line

/** How long a question may take, and how much longer for each 1,024 characters of it. */
const JUDGING_MS_MAX = 5000
const JUDGING_MS_PER_KIB = 1

/** How long a module may take to load. */
const LOADING_MS_MAX = 30_000

/** So many times at most a limit is looked at: a tab that was suspended has lost one of them, and not all of its time. */
const TICKS = 20

export class Logic {
  readonly #url: string
  readonly #database: string
  readonly #startThread: StartThread
  readonly #judging = new Map<number, (answer: string) => void>()
  #line: Line | undefined
  #loaded: Promise<Line> | undefined
  #questions = 0

  constructor(url: string, database: string, startThread: StartThread) {
    this.#url = url
    this.#database = database
    this.#startThread = startThread
  }

  /** Completes once the module is there. */
  async load(): Promise<void> {
    await this.#thread()
  }

  /** The verdicts on the documents of a question, or why there are none; as JSON. Never rejects. */
  async judge(question: string): Promise<string> {
    try {
      const line = await this.#thread()
      const limit_ms = Math.round(JUDGING_MS_MAX + (JUDGING_MS_PER_KIB * question.length) / 1024)
      const answer = await this.#ask(line, question, limit_ms)
      if (answer !== undefined) return answer
      this.close()
      // The next write should not have to wait for it.
      this.#thread().catch(() => {})
      return JSON.stringify({ tooSlow: `it was ended after ${limit_ms} ms` })
    } catch (error) {
      return JSON.stringify({ failed: (error as FirkinError).reason })
    }
  }

  /** Ends the thread. */
  close(): void {
    this.#line?.close()
    this.#line = undefined
    this.#loaded = undefined
  }

  #thread(): Promise<Line> {
    if (this.#loaded === undefined) {
      const loaded = this.#start()
      this.#loaded = loaded
      // A failure is not kept: the network may be back for the next write.
      loaded.catch(() => {
        if (this.#loaded === loaded) this.close()
      })
    }
    return this.#loaded
  }

  async #start(): Promise<Line> {
    const { promise, resolve, reject } = deferred<true>()
    const fail = (reason: string) => reject(logicFailed(`${this.#url} could not be loaded: ${reason}`))
    const line = this.#startThread(fail)
    this.#line = line
    line.receive = (message) => {
      if (message.type === 'loaded') resolve(true)
      else if (message.type === 'failed') fail(message.reason)
      else this.#judging.get(message.id)?.(message.answer)
    }
    line.post({ type: 'load', url: this.#url, database: this.#database })
    if ((await within(LOADING_MS_MAX, promise)) === undefined) {
      throw logicFailed(`${this.#url} could not be loaded in ${LOADING_MS_MAX} ms`)
    }
    return line
  }

  async #ask(line: Line, question: string, limit_ms: number): Promise<string | undefined> {
    this.#questions += 1
    const id = this.#questions
    const { promise, resolve } = deferred<string>()
    this.#judging.set(id, resolve)
    line.post({ type: 'judge', id, question })
    const answer = await within(limit_ms, promise)
    this.#judging.delete(id)
    return answer
  }
}

/** Throws unless the module is the origin's own. Where there is no origin, as in Node, any will do. */
export function checkOrigin(url: string): void {
  const { origin } = globalThis as { origin?: string }
  const { protocol, origin: its } = new URL(url)
  if (origin === undefined || its === origin || protocol === 'firkin:') return
  throw badRequest(`logic is loaded from the page's own origin, ${origin}, and not from ${url}`)
}

/** The module runs in this thread. */
export const startInPlace: StartThread = () => {
  const [here, there] = portPair<ToRules, FromRules>()
  serveRules(there)
  return here
}

/** The module runs in a worker of its own, or of the page's where a worker cannot start another. */
export function startWorker(page: Port<ToPage, FromPage>): StartThread {
  return (fail) => {
    if (typeof Worker === 'function') return startHere(fail)
    const { port1, port2 } = new MessageChannel()
    page.post({ type: 'startLogic', port: port2 }, [port2])
    return threadPort<ToRules | 'end', FromRules>(port1, () => port1.postMessage('end'))
  }
}

/** Starts a worker for the engine's side at the other end of `port`. */
export function relayLogic(port: MessagePort): void {
  const engine = threadPort<FromRules, ToRules | 'end'>(port, () => port.close())
  const rules = startHere((reason) => engine.post({ type: 'failed', reason }))
  rules.receive = (message) => engine.post(message)
  engine.receive = (message) => {
    if (message !== 'end') return rules.post(message)
    rules.close()
    engine.close()
  }
}

function startHere(fail: (reason: string) => void): Line {
  const worker = new Worker(new URL('./logic-worker.js', import.meta.url), { type: 'module', name: 'firkin logic' })
  worker.onerror = (event) => {
    // A script that cannot be loaded is told by a bare event; anything else is an error in a script that runs.
    if (!(event instanceof ErrorEvent)) fail('its worker could not be loaded')
  }
  return threadPort<ToRules, FromRules>(worker, () => worker.terminate())
}

function logicFailed(reason: string): FirkinError {
  return new FirkinError({ status: 500, name: 'logic_failed', reason })
}

/** What `promise` brings; `undefined` if that takes longer. */
function within<Value>(limit_ms: number, promise: Promise<Value>): Promise<Value | undefined> {
  const { promise: first, resolve, reject } = deferred<Value | undefined>()
  let ticks = 0
  const timer = setInterval(() => {
    ticks += 1
    if (ticks === TICKS) resolve(undefined)
  }, limit_ms / TICKS)
  promise.then(resolve, reject)
  return first.finally(() => clearInterval(timer))
}
