// Places for feeds: how many are held open with one server at a time, by all databases and tabs of the page's origin.
//
// Over HTTP/1.1 a browser opens six connections to a server, and a feed that is held takes one for good. So a few feeds are held, and
// the others look one after the other whether there is something new: of six connections at most four wait for feeds. Over HTTP/2
// all share one connection, which carries a hundred requests or more. Both places and turns are Web Locks: the platform gives back
// what a tab holds that ends, however it ends.

const HELD_MAX = 3
const HELD_MAX_SHARED = 64

/** A turn is passed on after this, whatever it waits for, and is waited for this long. */
const TURN_MS_MAX = 5_000
const WAIT_MS_MAX = 20_000
/** How soon a place is free that others were asked for. */
const GIVEN_MS = 50

/** Gives back what was taken. */
export type Release = () => void

/** The protocols by which servers answered last, by origin; only of those that let the page know. */
const protocols = new Map<string, string>()
let observer: PerformanceObserver | undefined

/** Sees from now on by which protocols servers answer. */
function observe(): void {
  if (observer !== undefined || typeof PerformanceObserver === 'undefined') return
  observer = new PerformanceObserver((list) => note(list.getEntries()))
  observer.observe({ type: 'resource', buffered: true })
}

function note(entries: PerformanceEntryList): void {
  for (const { name, nextHopProtocol } of entries as PerformanceResourceTiming[]) {
    if (nextHopProtocol) protocols.set(new URL(name).origin, nextHopProtocol)
  }
}

function heldMax(origin: string): number {
  note(observer?.takeRecords() ?? [])
  return /^h[23]/.test(protocols.get(origin) ?? '') ? HELD_MAX_SHARED : HELD_MAX
}

/** Whether the platform can hold them for all tabs. Where it cannot, each feed is held, as if it were alone. */
export const hasPlaces = () => globalThis.navigator?.locks !== undefined

export class Places {
  readonly #called: (origin: string) => void
  #channel: BroadcastChannel | undefined

  /** `called` hears when somebody wants a place with a server, whose feed has moved. */
  constructor(called: (origin: string) => void) {
    this.#called = called
    observe()
  }

  /** A place to hold a feed of the server at `origin`, if there is one. With `wants`, those whose feeds rest are asked for theirs. */
  async take(origin: string, wants: boolean): Promise<Release | undefined> {
    this.#listen()
    const place = await firstFree(origin)
    if (place !== undefined || !wants) return place
    this.#channel?.postMessage(origin)
    this.#called(origin)
    await new Promise((resolve) => setTimeout(resolve, GIVEN_MS))
    return firstFree(origin)
  }

  /** This one's turn to look, among all that look at the server at `origin`; soon enough it looks without one. */
  async turn(origin: string, signal: AbortSignal): Promise<Release> {
    const waiting = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS_MAX)])
    const release = (await lock(`firkin:turn:${origin}`, { signal: waiting })) ?? (() => {})
    const timer = setTimeout(release, TURN_MS_MAX)
    return () => {
      clearTimeout(timer)
      release()
    }
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }

  #listen(): void {
    if (this.#channel !== undefined) return
    this.#channel = new BroadcastChannel('firkin:places')
    this.#channel.onmessage = ({ data }) => this.#called(String(data))
  }
}

async function firstFree(origin: string): Promise<Release | undefined> {
  const max = heldMax(origin)
  for (let n = 0; n < max; n += 1) {
    const place = await lock(`firkin:feed:${origin}:${n}`, { ifAvailable: true })
    if (place !== undefined) return place
  }
  return undefined
}

/** Takes a Web Lock until it is given back; `undefined` if it is not to be had. */
function lock(name: string, options: LockOptions): Promise<Release | undefined> {
  return new Promise((resolve) => {
    const hold = (lock: Lock | null) =>
      lock === null ? resolve(undefined) : new Promise<void>((release) => resolve(release))
    navigator.locks.request(name, options, hold).catch(() => resolve(undefined))
  })
}
