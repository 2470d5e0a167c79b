// The replications that the leader's engine runs, and who has a handle on each.
//
// Live replications that ask for the same, of whatever tab, are one run with a handle for each who asked: it goes on until the last
// of them has left, and who comes later is told at once how far it is. **What is asked for is compared whole**, headers and
// credentials among it, so that nobody comes into what another may do.

import type { ErrorReport } from './errors.js'
import type { Call, Outcome, Response } from './messages.js'
import type { EngineProgress } from './progress.js'
import type { HeaderMap } from './replication-types.js'

/** A call that begins a replication. */
export type Beginning = Call & { replication: number }

export const begins = (call: Call): call is Beginning => call.method === 'replicate' && call.replication !== undefined

interface Handle {
  client: string
  /** The call that waits for the end. */
  call: Beginning
  settle(outcome: Outcome): void
}

interface Run {
  /** The engine's number of it, which was that of its first handle. */
  id: number
  /** Handles by their numbers. */
  handles: Map<number, Handle>
  /** It is asked for the end, or has ended: nobody comes in any more. */
  isEnding: boolean
  latest?: EngineProgress
}

const LEFT: ErrorReport = { status: 0, name: 'aborted', reason: 'the replication was cancelled' }

export class Runs {
  readonly #send: (client: string, response: Response) => void
  readonly #runs = new Map<number, Run>()

  constructor(send: (client: string, response: Response) => void) {
    this.#send = send
  }

  /** How the replication of `call` ends for its client; `start` has the engine run it, if it does not yet. */
  begin(client: string, call: Beginning, start: () => Promise<Outcome>): Promise<Outcome> {
    const shared = this.#sharedWith(call)
    const run: Run = shared ?? { id: call.replication, handles: new Map(), isEnding: false }
    const end = new Promise<Outcome>((settle) => run.handles.set(call.replication, { client, call, settle }))
    if (shared === undefined) {
      this.#runs.set(run.id, run)
      void start().then((outcome) => this.#ended(run, outcome))
    } else if (run.latest !== undefined) {
      this.#tell(client, call.replication, { ...run.latest, type: typeOf(run.latest) })
    }
    return end
  }

  /** The handle is given up; the engine's number of a run that is to end with it. */
  leave(replication: number): number | undefined {
    for (const run of this.#runs.values()) {
      const handle = run.handles.get(replication)
      if (handle === undefined) continue
      if (run.handles.size === 1) {
        run.isEnding = true
        return run.id
      }
      run.handles.delete(replication)
      handle.settle({ type: 'refused', id: handle.call.id, error: LEFT })
    }
    return undefined
  }

  /** The client is gone; the engine's numbers of the runs that are to end with it. */
  forget(client: string): number[] {
    const left = [...this.#runs.values()].flatMap(({ handles }) => [...handles])
    const gone = left.filter(([, handle]) => handle.client === client).map(([replication]) => replication)
    return gone.map((replication) => this.leave(replication)).filter((id) => id !== undefined)
  }

  /** The engine tells something of a run. */
  happened(json: string): void {
    const progress = JSON.parse(json) as EngineProgress
    const run = this.#runs.get(progress.id)
    if (run === undefined) return
    run.latest = progress
    for (const [replication, { client }] of run.handles) this.#tell(client, replication, progress)
  }

  /** The engine's number of the run that a handle is on. */
  idOf(replication: number): number {
    return [...this.#runs.values()].find(({ handles }) => handles.has(replication))?.id ?? replication
  }

  /** Whom the engine's questions about a run are for. */
  owner(id: number): string | undefined {
    return this.#first(id)?.client
  }

  /** Whether its page sends the requests of a run. */
  fetches(id: number): boolean {
    return this.#first(id)?.call.fetches === true
  }

  /** The headers of a run whose handles all have the same. */
  headers(id: number): HeaderMap | undefined {
    const shared = this.#first(id)?.call.shared
    return shared === undefined ? undefined : ((JSON.parse(shared) as { headers?: HeaderMap }).headers ?? {})
  }

  #first(id: number): Handle | undefined {
    return this.#runs.get(id)?.handles.values().next().value
  }

  #sharedWith({ shared }: Beginning): Run | undefined {
    if (shared === undefined) return undefined
    return [...this.#runs.values()].find((run) => !run.isEnding && this.#first(run.id)?.call.shared === shared)
  }

  #ended(run: Run, outcome: Outcome): void {
    this.#runs.delete(run.id)
    for (const { call, settle } of run.handles.values()) settle({ ...outcome, id: call.id })
  }

  #tell(client: string, id: number, progress: EngineProgress): void {
    this.#send(client, { type: 'event', name: 'replication', json: JSON.stringify({ ...progress, id }) })
  }
}

/** What is told to bring a handle into the state that its run is in. */
function typeOf({ state }: EngineProgress): EngineProgress['type'] {
  if (state === 'idle') return 'paused'
  return state === 'offline' ? 'error' : 'active'
}
