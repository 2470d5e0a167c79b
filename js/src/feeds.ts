// The feeds of live pulls, as the leader asks for them: held open where there is a place for that (`places.ts`), else looked at in turns.
//
// The engine asks for a held feed in any case. Who has no place has it asked for as it is, after a pause that grows while nothing
// comes; **what the engine gets is an answer of the server, or that there is nothing new**. A feed that moves gets a place of one that
// rests, where there is such a one: so where people work changes come at once, and elsewhere within some seconds.

import { NOWHERE } from './names.js'
import { hasPlaces, Places, type Release } from './places.js'

/** What the engine adds to ask for a feed that is held. */
const HELD = /&feed=longpoll&heartbeat=\d+/
const LIMIT = /&limit=\d+/

/** The pauses between two looks. */
const PAUSE_MS_MIN = 1_000
const PAUSE_MS_MAX = 5_000
/** A feed that has told nothing for so long, or has its place for so long, rests. */
const RESTS_MS = 10_000

/** How long a server may take to say whether there is something that it has not told. */
const ASKED_MS_MAX = 10_000

type Send = (url: string, init: RequestInit) => Promise<Response>

export class Feeds {
  /** By the replication and its method: one that drops what leaves has two. */
  readonly #feeds = new Map<string, Feed>()
  readonly #places = new Places((origin) => {
    for (const feed of this.#feeds.values()) if (feed.origin === origin) feed.giveWay()
  })

  /** Sends a request of a replication by `send`. */
  fetch(replication: number, url: string, init: RequestInit, send: Send): Promise<Response> {
    if (!url.includes('/_changes?') || url.startsWith(NOWHERE) || !hasPlaces()) return send(url, init)
    const key = `${replication} ${init.method}`
    const feed = this.#feeds.get(key) ?? new Feed(this.#places, new URL(url).origin)
    this.#feeds.set(key, feed)
    return HELD.test(url) ? feed.wait(url, init, send) : feed.read(url, init, send)
  }

  /** Completes once what the peer of a replication had at the moment `at_ms` was looked at. */
  async looked(replication: number, at_ms: number): Promise<void> {
    await Promise.all(this.#of(replication).map(([, feed]) => feed.looked(at_ms)))
  }

  /** The replication has ended. */
  end(replication: number): void {
    for (const [key, feed] of this.#of(replication)) {
      this.#feeds.delete(key)
      feed.end()
    }
    if (this.#feeds.size === 0) this.#places.close()
  }

  endAll(): void {
    for (const feed of this.#feeds.values()) feed.end()
    this.#feeds.clear()
    this.#places.close()
  }

  #of(replication: number): [string, Feed][] {
    return [...this.#feeds].filter(([key]) => key.startsWith(`${replication} `))
  }
}

class Feed {
  readonly origin: string
  readonly #places: Places
  readonly #ended = new AbortController()
  #place: Release | undefined
  /** While a feed is held: how it was asked for, and what is aborted when its place is given away. */
  #holding: { given: AbortController; url: string; init: RequestInit; send: Send } | undefined
  /** Its place was given away: it does not take it back at once. */
  #gaveWay = false
  #since: string | undefined
  /** From when on it rests, if nothing comes. */
  #restsAt_ms = 0
  /** When the peer was asked last, and when it was asked for what has been dealt with. */
  #askedAt_ms = 0
  #dealtWith_ms = 0
  #pause_ms = 0
  #endPause: () => void = () => {}
  #lookers: { at_ms: number; resolve(): void }[] = []

  constructor(places: Places, origin: string) {
    this.#places = places
    this.origin = origin
  }

  /** Asks for what is there. */
  read(url: string, init: RequestInit, send: Send): Promise<Response> {
    this.#askedAt_ms = Date.now()
    return send(url, init)
  }

  /** Asks for what comes: all that came before is dealt with. */
  async wait(url: string, init: RequestInit, send: Send): Promise<Response> {
    const since = new URL(url).searchParams.get('since') ?? '0'
    const moved = this.#since !== undefined && placeOf(since) !== placeOf(this.#since)
    this.#since = since
    this.#holding = undefined
    this.#dealtWith_ms = this.#askedAt_ms
    this.#answerLookers()
    if (moved) this.#restsAt_ms = Date.now() + RESTS_MS
    const isDue = moved || this.#lookers.length > 0
    this.#pause_ms = isDue ? 0 : Math.min(Math.max(2 * this.#pause_ms, PAUSE_MS_MIN), PAUSE_MS_MAX)
    if (this.#place === undefined && !this.#gaveWay) {
      this.#place = await this.#places.take(this.origin, moved)
      this.#restsAt_ms = Date.now() + RESTS_MS
    }
    this.#gaveWay = false
    if (this.#ended.signal.aborted) this.#leavePlace()
    // A feed that is held tells nothing for as long as nothing comes, so it does not tell what the peer has.
    const looks = this.#place === undefined || this.#lookers.length > 0
    return looks ? this.#look(url, init, send) : this.#hold(url, init, send)
  }

  /** Completes once all is dealt with that the peer had at `at_ms`. */
  async looked(at_ms: number): Promise<void> {
    if (this.#ended.signal.aborted || this.#dealtWith_ms > at_ms) return
    const isHeld = this.#holding !== undefined
    if (isHeld && (this.#askedAt_ms > at_ms || !(await this.#isBehind()))) return
    this.#endPause()
    // A feed that is held tells what it has with its next answer.
    const since_ms = isHeld ? 0 : at_ms
    await new Promise<void>((resolve) => this.#lookers.push({ at_ms: since_ms, resolve }))
  }

  /** Another wants its place, and gets it if this one rests. */
  giveWay(): void {
    if (this.#place === undefined || Date.now() < this.#restsAt_ms) return
    this.#gaveWay = true
    this.#leavePlace()
    this.#holding?.given.abort()
  }

  end(): void {
    this.#ended.abort()
    this.#holding = undefined
    this.#leavePlace()
    this.#endPause()
    for (const { resolve } of this.#lookers.splice(0)) resolve()
  }

  #leavePlace(): void {
    this.#place?.()
    this.#place = undefined
  }

  #answerLookers(): void {
    const answered = this.#lookers.filter(({ at_ms }) => at_ms < this.#dealtWith_ms)
    this.#lookers = this.#lookers.filter((looker) => !answered.includes(looker))
    for (const { resolve } of answered) resolve()
  }

  async #look(url: string, init: RequestInit, send: Send): Promise<Response> {
    const signal = init.signal ?? this.#ended.signal
    await this.#pause(this.#askedAt_ms + this.#pause_ms - Date.now(), signal)
    const over = await this.#places.turn(this.origin, signal)
    try {
      signal.throwIfAborted()
      const { body, status, headers } = await this.read(url.replace(HELD, ''), init, send)
      if (body === null) over()
      return new Response(body?.pipeThrough(new TransformStream({ flush: over })) ?? null, { status, headers })
    } catch (error) {
      over()
      throw error
    }
  }

  #pause(pause_ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', hurry)
        resolve()
      }
      const hurry = () => {
        this.#pause_ms = 0
        end()
      }
      const timer = setTimeout(end, pause_ms)
      // The network may be another: what is asked anew is answered soon.
      signal.addEventListener('abort', hurry)
      this.#endPause = hurry
    })
  }

  async #hold(url: string, init: RequestInit, send: Send): Promise<Response> {
    const given = new AbortController()
    this.#holding = { given, url, init, send }
    const sending = new AbortController()
    const stop = () => sending.abort(init.signal?.reason)
    const nothing = nothingAfter(this.#since ?? '0')
    init.signal?.addEventListener('abort', stop)
    given.signal.addEventListener('abort', stop)
    try {
      const response = await this.read(url, { ...init, signal: sending.signal }, send)
      if (!response.ok || response.body === null) return response
      return new Response(untilGiven(response.body, given.signal, nothing), { headers: response.headers })
    } catch (error) {
      if (!given.signal.aborted || init.signal?.aborted) throw error
      return new Response(nothing)
    } finally {
      // What has begun to answer may be in the middle of it.
      given.signal.removeEventListener('abort', stop)
    }
  }

  /** Whether the peer has something that the feed which is held has not brought yet; not where that cannot be found out. */
  async #isBehind(): Promise<boolean> {
    const held = this.#holding
    if (held === undefined) return false
    const signals = [AbortSignal.timeout(ASKED_MS_MAX), ...(held.init.signal ? [held.init.signal] : [])]
    const url = held.url.replace(HELD, '').replace(LIMIT, '&limit=1')
    try {
      const { ok, body } = await held.send(url, { ...held.init, signal: AbortSignal.any(signals) })
      const isBehind = ok && body !== null && (await hasRows(body))
      // It may have brought it meanwhile, and be asked for again.
      return isBehind && this.#holding === held
    } catch {
      return false
    }
  }
}

/** How far along a sequence is: what follows may differ between two answers, as CouchDB's does. */
const placeOf = (since: string) => since.split('-')[0]

/** The answer that there is nothing after `since`, which is JSON or the plain text of a string. */
function nothingAfter(since: string): string {
  let last_seq: unknown = since
  try {
    last_seq = JSON.parse(since)
  } catch {}
  return `{"results":[],"last_seq":${typeof last_seq === 'string' ? JSON.stringify(last_seq) : since}}`
}

const BEGINNING_MAX = 1_000

/** With these servers begin an answer when they have nothing to tell yet. */
const BEGINNINGS = ['', '{"results":[']

/** The body of a feed that is held, which ends as `nothing` when its place is given away, unless it tells something already. */
function untilGiven(body: ReadableStream<Uint8Array>, given: AbortSignal, nothing: string): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  const whenGiven = new Promise<undefined>((resolve) => given.addEventListener('abort', () => resolve(undefined)))
  const decoder = new TextDecoder()
  let said = ''
  return new ReadableStream({
    async pull(controller) {
      const isQuiet = BEGINNINGS.includes(said)
      const read = reader.read()
      const piece = await (isQuiet ? Promise.race([read, whenGiven]) : read)
      if (piece === undefined) {
        reader.cancel().catch(() => {})
        controller.enqueue(new TextEncoder().encode(nothing.slice(said.length)))
        controller.close()
      } else if (piece.done) {
        controller.close()
      } else {
        if (said.length <= nothing.length) said += decoder.decode(piece.value, { stream: true }).trim()
        controller.enqueue(piece.value)
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

/** Whether a page of the feed has rows: servers begin with these. */
async function hasRows(body: ReadableStream<Uint8Array>): Promise<boolean> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let said = ''
  let begun: RegExpExecArray | null = null
  for (let ended = false; begun === null && !ended && said.length < BEGINNING_MAX; ) {
    const { done, value } = await reader.read()
    ended = done
    said += decoder.decode(value, { stream: true })
    begun = /^\s*\{\s*"results"\s*:\s*\[\s*(\S)/.exec(said)
  }
  reader.cancel().catch(() => {})
  return begun !== null && begun[1] !== ']'
}
