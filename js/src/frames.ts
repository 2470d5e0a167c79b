// Requests and answers over a port, as frames of bytes that are small enough for a WebRTC data channel: whoever owns such a channel
// carries frames from it to the port and back, as they are, in order.
//
// A frame is a kind, the number of an exchange and bytes. A message is JSON and a body, which is told in frames of data and an
// end. Who sends stops after a window of them until the other end has taken some: **neither end holds more than a window of what
// nobody reads**.

/** Where frames come and go: a MessagePort, or something like it. */
export interface FramePort {
  postMessage(frame: ArrayBuffer, transfer: Transferable[]): void
  addEventListener(name: 'message', listener: (event: MessageEvent) => void): void
  removeEventListener(name: 'message', listener: (event: MessageEvent) => void): void
  start?(): void
}

/** What a frame is about: a request goes up, and its answer down. */
type Way = 'up' | 'down'

/** All data channels carry messages of so many bytes. */
const FRAME_BYTES_MAX = 16 << 10
const HEAD_BYTES = 5
/** How many frames of data may be on their way in one direction of an exchange, and how many at least are told as taken at once. */
const WINDOW = 64
const TAKEN_MIN = 16

const kinds = { begin: 0, data: 1, end: 2, taken: 3, stop: 4 } as const
type Kind = keyof typeof kinds
const kindNames = Object.keys(kinds) as Kind[]

interface Outgoing {
  begun: boolean
  left: number
  stopped: boolean
  wake(): void
}

interface Incoming {
  controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>
  /** Frames of which the other end was not told that they were taken. */
  untold: number
}

/** One end of all exchanges of a port that it begins (`up`), or that it answers (`down`). */
export class Frames {
  readonly #port: FramePort
  readonly #out: Way
  readonly #in: Way
  readonly #outgoing = new Map<number, Outgoing>()
  readonly #incoming = new Map<number, Incoming>()
  readonly #begun: ((exchange: number, message: ReadableStream<Uint8Array<ArrayBuffer>>) => void) | undefined
  readonly #stopped: (exchange: number) => void
  readonly #hear = ({ data }: MessageEvent) => this.#heard(data)

  /** `begun` hears of a message that nobody waits for, `stopped` of one whose sender gave it up. */
  constructor(
    port: FramePort,
    sends: Way,
    stopped: (exchange: number) => void,
    begun?: (exchange: number, message: ReadableStream<Uint8Array<ArrayBuffer>>) => void,
  ) {
    this.#port = port
    this.#out = sends
    this.#in = sends === 'up' ? 'down' : 'up'
    this.#stopped = stopped
    this.#begun = begun
    port.addEventListener('message', this.#hear)
    port.start?.()
  }

  /** Hears nothing any more; messages under way fail. */
  close(): void {
    this.#port.removeEventListener('message', this.#hear)
    for (const exchange of [...this.#outgoing.keys(), ...this.#incoming.keys()]) this.stop(exchange)
  }

  /** Sends a message. Completes once all of it is on its way; fails as the body does. */
  async send(exchange: number, head: object, body: ReadableStream<Uint8Array> | null): Promise<void> {
    const outgoing: Outgoing = { begun: false, left: WINDOW, stopped: false, wake: () => {} }
    this.#outgoing.set(exchange, outgoing)
    try {
      await this.#sendBytes(exchange, outgoing, withLength(new TextEncoder().encode(JSON.stringify(head))))
      const reader = body?.getReader()
      for (let piece = await reader?.read(); piece?.value !== undefined; piece = await reader?.read()) {
        await this.#sendBytes(exchange, outgoing, piece.value)
        if (outgoing.stopped) return void reader?.cancel().catch(() => {})
      }
      this.#post('end', this.#out, exchange)
    } catch (error) {
      this.#post('stop', this.#out, exchange)
      throw error
    } finally {
      this.#outgoing.delete(exchange)
    }
  }

  /** The message that comes in an exchange. */
  receive(exchange: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => void this.#incoming.set(exchange, { controller, untold: 0 }),
        pull: () => this.#tellTaken(exchange),
        cancel: () => this.stop(exchange),
      },
      { highWaterMark: WINDOW / 2 },
    )
  }

  /** Gives an exchange up, and tells the other end. */
  stop(exchange: number): void {
    const outgoing = this.#outgoing.get(exchange)
    if (outgoing !== undefined) outgoing.stopped = true
    outgoing?.wake()
    this.#fail(exchange)
    this.#post('stop', this.#out, exchange)
  }

  async #sendBytes(exchange: number, outgoing: Outgoing, bytes: Uint8Array): Promise<void> {
    const step = FRAME_BYTES_MAX - HEAD_BYTES
    for (let position = 0; position < bytes.byteLength && !outgoing.stopped; position += step) {
      while (outgoing.left === 0 && !outgoing.stopped) {
        await new Promise<void>((wake) => {
          outgoing.wake = wake
        })
      }
      outgoing.left -= 1
      const kind = outgoing.begun ? 'data' : 'begin'
      outgoing.begun = true
      this.#post(kind, this.#out, exchange, bytes.subarray(position, position + step))
    }
  }

  #post(kind: Kind, way: Way, exchange: number, bytes: Uint8Array = new Uint8Array()): void {
    const frame = new Uint8Array(HEAD_BYTES + bytes.byteLength)
    frame[0] = kinds[kind] + (way === 'up' ? 0 : kindNames.length)
    new DataView(frame.buffer).setUint32(1, exchange)
    frame.set(bytes, HEAD_BYTES)
    this.#port.postMessage(frame.buffer, [frame.buffer])
  }

  #heard(data: unknown): void {
    if (!(data instanceof ArrayBuffer) || data.byteLength < HEAD_BYTES) return
    const view = new DataView(data)
    const code = view.getUint8(0)
    const way: Way = code < kindNames.length ? 'up' : 'down'
    const kind = kindNames[code % kindNames.length]
    const exchange = view.getUint32(1)
    if (kind === 'taken' && way === this.#out) this.#taken(exchange, TAKEN_MIN)
    if (way !== this.#in) return
    if (kind === 'begin' && !this.#incoming.has(exchange)) this.#begun?.(exchange, this.receive(exchange))
    if (kind === 'begin' || kind === 'data') this.#arrived(exchange, new Uint8Array(data, HEAD_BYTES))
    else if (kind === 'end') this.#ended(exchange)
    else if (kind === 'stop') this.#gaveUp(exchange)
  }

  #taken(exchange: number, frames: number): void {
    const outgoing = this.#outgoing.get(exchange)
    if (outgoing === undefined) return
    outgoing.left += frames
    outgoing.wake()
  }

  #arrived(exchange: number, bytes: Uint8Array<ArrayBuffer>): void {
    const incoming = this.#incoming.get(exchange)
    if (incoming === undefined) return
    incoming.untold += 1
    incoming.controller.enqueue(bytes)
  }

  /** Little of what arrived is not taken. */
  #tellTaken(exchange: number): void {
    const incoming = this.#incoming.get(exchange)
    for (; incoming !== undefined && incoming.untold >= TAKEN_MIN; incoming.untold -= TAKEN_MIN) {
      this.#post('taken', this.#in, exchange)
    }
  }

  #ended(exchange: number): void {
    this.#incoming.get(exchange)?.controller.close()
    this.#incoming.delete(exchange)
  }

  #gaveUp(exchange: number): void {
    this.#fail(exchange)
    const outgoing = this.#outgoing.get(exchange)
    if (outgoing !== undefined) outgoing.stopped = true
    outgoing?.wake()
    this.#stopped(exchange)
  }

  #fail(exchange: number): void {
    this.#incoming.get(exchange)?.controller.error(new Error('the other end of the port gave up'))
    this.#incoming.delete(exchange)
  }
}

/** Takes a message apart. */
export async function open(message: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<{
  head: unknown
  body: ReadableStream<Uint8Array<ArrayBuffer>>
}> {
  const reader = message.getReader()
  let bytes = new Uint8Array()
  const length = () => (bytes.byteLength < 4 ? Number.POSITIVE_INFINITY : 4 + new DataView(bytes.buffer).getUint32(0))
  while (bytes.byteLength < length()) {
    const { value } = await reader.read()
    if (value === undefined) throw new Error('a message ended within its head')
    bytes = joined(bytes, value)
  }
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, length())))
  let rest: Uint8Array<ArrayBuffer> | undefined = bytes.slice(length())
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const value = rest?.byteLength ? rest : (await reader.read()).value
      rest = undefined
      if (value === undefined) controller.close()
      else controller.enqueue(value)
    },
    cancel: () => reader.cancel(),
  })
  return { head, body }
}

function withLength(json: Uint8Array): Uint8Array {
  return joined(numberOf(json.byteLength), json)
}

function numberOf(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(one.byteLength + other.byteLength)
  bytes.set(one)
  bytes.set(other, one.byteLength)
  return bytes
}
