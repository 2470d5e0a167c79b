// What a backup is read from: pieces of bytes or text, cut anywhere, that are looked at before they are taken.

import { badRequest } from './errors.js'

/** Where a backup comes from: `export()`, `blob`, `response.body`, or any iterable of bytes or text. */
export type BackupSource = ReadableStream<Uint8Array> | Blob | AsyncIterable<Uint8Array | string>

type Piece = Uint8Array | string

export class Pieces implements AsyncIterable<Piece> {
  readonly #rest: AsyncGenerator<Piece, void>
  readonly #ahead: Piece[] = []

  constructor(source: BackupSource) {
    this.#rest = piecesOf(source)
  }

  /** Whether it begins with this text, of ASCII characters. */
  async begin(text: string): Promise<boolean> {
    for (;;) {
      const start = this.#ahead.map((piece) => textOf(piece, text.length)).join('')
      if (start.length >= text.length || !text.startsWith(start)) return start.startsWith(text)
      if (!(await this.#readAhead())) return false
    }
  }

  /** Takes a line out, which has at most so many bytes; the pieces of what follows must be bytes. */
  async line(bytesMax: number): Promise<string> {
    for (;;) {
      const bytes = new Uint8Array(await new Blob(this.#ahead as BlobPart[]).arrayBuffer())
      const end = bytes.indexOf(10)
      if (end >= 0) {
        this.#ahead.splice(0, this.#ahead.length, bytes.subarray(end + 1))
        return new TextDecoder().decode(bytes.subarray(0, end))
      }
      if (bytes.length > bytesMax || !(await this.#readAhead()))
        throw badRequest('the first line of the backup has no end')
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void> {
    yield* this.#ahead.splice(0)
    yield* this.#rest
  }

  /** Nothing more is read. */
  async end(): Promise<void> {
    await this.#rest.return(undefined)
  }

  async #readAhead(): Promise<boolean> {
    const { done, value } = await this.#rest.next()
    if (!done) this.#ahead.push(value)
    return !done
  }
}

function textOf(piece: Piece, length: number): string {
  return typeof piece === 'string' ? piece.slice(0, length) : String.fromCharCode(...piece.subarray(0, length))
}

/** The lines of the source, without their ends. */
export async function* linesOf(pieces: AsyncIterable<Piece>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  // The line that is not at its end yet, in pieces: a line with a long attachment comes in many.
  let begun: string[] = []
  let number = 1
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
    } catch (cause) {
      throw badRequest(`line ${number} of the backup is no UTF-8`, cause)
    }
  }
  for await (const piece of pieces) {
    // Each is decoded by itself, so that the lines before one that is damaged are read.
    for (const part of endingWithLines(piece)) {
      const text = typeof part === 'string' ? part : decode(part)
      if (!text.endsWith('\n')) {
        begun.push(text)
        continue
      }
      begun.push(text.slice(0, -1))
      yield begun.join('')
      begun = []
      number += 1
    }
  }
  begun.push(decode())
  const rest = begun.join('')
  if (rest !== '') yield rest
}

/** The piece, cut behind each line feed. */
function* endingWithLines(piece: Piece): Generator<Piece, void> {
  let from = 0
  while (from < piece.length) {
    const end = typeof piece === 'string' ? piece.indexOf('\n', from) : piece.indexOf(10, from)
    const to = end < 0 ? piece.length : end + 1
    yield typeof piece === 'string' ? piece.slice(from, to) : piece.subarray(from, to)
    from = to
  }
}

async function* piecesOf(source: BackupSource): AsyncGenerator<Piece, void> {
  const stream = source instanceof Blob ? source.stream() : source
  const pieces = stream instanceof ReadableStream ? read(stream) : stream
  if (typeof pieces?.[Symbol.asyncIterator] !== 'function') {
    throw badRequest('import takes a ReadableStream, a Blob, or an async iterable of bytes or text')
  }
  for await (const piece of pieces) {
    // The tag of one of another window is the same.
    if (typeof piece !== 'string' && piece?.[Symbol.toStringTag] !== 'Uint8Array') {
      throw badRequest('a backup comes in pieces of bytes or text: each is a Uint8Array or a string')
    }
    yield piece
  }
}

/** Not every browser iterates over streams. */
async function* read(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  if (stream.locked) throw badRequest('the stream of the backup has another reader')
  const reader = stream.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel().catch(() => {})
  }
}
