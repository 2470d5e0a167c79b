// Whether the leader is awake: a tab that the browser has frozen keeps its lock, and answers nobody.
//
// Who leads sends a beat every second. A member that hears none asks, and takes the leader for frozen if nothing comes. An
// engine that is busy for long answers late; the page that it works for answers in its place, and a frozen tab has neither. (A
// page's timers are slowed down in the background; its messages are not.)

/** How often a leader beats. */
const BEAT_MS = 1000
/** After how long a silence a member asks, and how long it waits then. Together with the opening these are within 5 seconds. */
const SILENCE_MS = 2000
const ANSWER_MS = 1000
const CHECK_MS = 250
/** For how long a page speaks for its engine. */
const BUSY_MS_MAX = 60_000

type Sign = 'beat' | 'ask' | 'page'

const channelName = (database: string) => `firkin-pulse:${database}`

/** The pulse of a database, for one of its members: it beats itself, or listens. */
export class Pulse {
  readonly #channel: BroadcastChannel
  readonly #silent: () => void
  readonly #slept: () => void
  readonly #timer: ReturnType<typeof setInterval>
  #leads = false
  /** When it has last beaten, or looked whether others do. */
  #looked = performance.now()
  #beatHeard = performance.now()
  #pageHeard = 0
  #asked: number | undefined

  /**
   * `silent` is called when the leader does not answer; the silence counts from the beginning then. `slept` is called when this
   * member leads and has slept: it does not beat until `wake`.
   */
  constructor(database: string, silent: () => void, slept: () => void) {
    this.#silent = silent
    this.#slept = slept
    this.#channel = new BroadcastChannel(channelName(database))
    this.#channel.onmessage = ({ data }) => this.#heard(data as Sign)
    this.#timer = setInterval(() => (this.#leads ? this.#beat() : this.#look()), CHECK_MS)
  }

  /** This member leads from now on, if only to open the engine. */
  lead(): void {
    this.#leads = true
    this.wake()
  }

  /** This member listens from now on. */
  follow(): void {
    if (this.#leads) this.#restart()
    this.#leads = false
  }

  /** Whether this member has slept so long that another may lead by now. */
  get hasSlept(): boolean {
    return performance.now() - this.#looked > SILENCE_MS
  }

  /** It has been found out that this member leads all the same. */
  wake(): void {
    this.#looked = performance.now()
    if (this.#leads) this.#send('beat')
  }

  close(): void {
    clearInterval(this.#timer)
    this.#channel.close()
  }

  #heard(sign: Sign): void {
    if (sign === 'ask' && this.#leads && !this.hasSlept) this.#send('beat')
    else if (sign === 'beat') this.#beatHeard = performance.now()
    else if (sign === 'page') this.#pageHeard = performance.now()
  }

  #beat(): void {
    if (this.hasSlept) this.#slept()
    else if (performance.now() - this.#looked >= BEAT_MS) this.wake()
  }

  #look(): void {
    const now = performance.now()
    // What was not heard in sleep says nothing.
    if (this.hasSlept) this.#restart()
    this.#looked = now
    const silence = now - this.#beatHeard
    if (silence < SILENCE_MS) {
      this.#asked = undefined
    } else if (this.#asked === undefined || (this.#pageHeard >= this.#asked && silence < BUSY_MS_MAX)) {
      this.#asked = now
      this.#send('ask')
    } else if (now - this.#asked >= ANSWER_MS) {
      this.#restart()
      this.#silent()
    }
  }

  #restart(): void {
    this.#beatHeard = performance.now()
    this.#asked = undefined
  }

  #send(sign: Sign): void {
    this.#channel.postMessage(sign)
  }
}

/** Has a page speak for the engine in its worker. The function returned ends that. */
export function speakForEngine(database: string): () => void {
  const channel = new BroadcastChannel(channelName(database))
  channel.onmessage = ({ data }) => {
    if (data === 'ask') channel.postMessage('page' satisfies Sign)
  }
  return () => channel.close()
}
