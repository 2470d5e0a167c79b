// Backups of the stored blocks as they are: quick to write and to take in, the index among them.
//
// A line of JSON comes first, then the blocks; docs/backup-format.md tells both. Nothing is looked at here: blocks are checked where
// they are read and where they are written. **A backup under way holds what it copies for a minute after each read.**

import type { Connection } from './connection.js'
import { type Counts, countAll } from './counts.js'
import { encode } from './encode.js'
import { badRequest, FirkinError } from './errors.js'
import type { Pieces } from './pieces.js'
import { randomName } from './random.js'
import type { Abortable } from './types.js'

/** The version of the first line. */
const VERSION = 1
/** How such a backup begins. */
export const BLOCKS_MAGIC = '{"firkin_blocks":'
/** How long the first line may be. */
const LINE_BYTES_MAX = 65_536
/** How many bytes cross at a time. */
const PART_BYTES = 1_000_000

/** The first line. */
interface BlocksHead {
  firkin_blocks: number
  /** The format of the store. */
  format: number
  /** How many bytes follow. */
  bytes: number
}

/** The blocks of the database, read as fast as they are taken. */
export function exportBlocks(connection: Connection, name: string, { signal }: Abortable): ReadableStream<Bytes> {
  const parts = backupParts(connection, name, signal)
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await parts.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await parts.return(undefined)
    },
  })
}

type Bytes = Uint8Array<ArrayBuffer>

async function* backupParts(
  connection: Connection,
  db_name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Bytes, void> {
  const name = randomName()
  try {
    const { format, bytes: total } = (await connection.call('backup', { name }, { signal })) as Omit<
      BlocksHead,
      'firkin_blocks'
    >
    const head = { firkin_blocks: VERSION, format, bytes: total, db_name, time: new Date().toISOString() }
    yield new TextEncoder().encode(`${JSON.stringify(head)}\n`)
    for (let done = 0; ; ) {
      const bytes = new Uint8Array(await connection.send('backupNext', encode({ name }), { signal }))
      if (bytes.length === 0) return
      done += bytes.length
      connection.tell('progress', { task: 'export', done, total })
      yield bytes
    }
  } finally {
    connection.call('backupEnd', { name }).catch(() => {})
  }
}

/** Takes in the blocks of a backup. */
export async function importBlocks(connection: Connection, pieces: Pieces, { signal }: Abortable): Promise<Counts> {
  const head = readHead(await pieces.line(LINE_BYTES_MAX))
  await connection.call('restore', { format: head.format }, { signal })
  try {
    let done = 0
    for await (const piece of pieces) {
      if (typeof piece === 'string') throw badRequest('a backup of blocks is bytes, and not text')
      for (let from = 0; from < piece.length; from += PART_BYTES) {
        const part = piece.slice(from, from + PART_BYTES)
        done += part.length
        await connection.send('restoreNext', part, { signal })
        connection.tell('progress', { task: 'import', done, total: head.bytes })
      }
    }
    const { documents, revisions } = (await connection.call('restoreEnd', {}, { signal })) as Partial<Counts>
    if (documents !== undefined && revisions !== undefined) return { documents, revisions }
  } catch (error) {
    await connection.call('restoreDrop', {}).catch(() => {})
    throw error
  }
  // The leader went away before it had counted.
  return countAll((method, payload) => connection.call(method, payload, { signal }))
}

function readHead(line: string): BlocksHead {
  let head: BlocksHead
  try {
    head = JSON.parse(line) as BlocksHead
  } catch (cause) {
    throw badRequest(`the first line of the backup is no JSON: ${(cause as Error).message}`, cause)
  }
  if (head.firkin_blocks > VERSION) {
    const reason = `the backup has format ${head.firkin_blocks}; this version reads formats up to ${VERSION}`
    throw new FirkinError({ status: 500, name: 'format_too_new', reason })
  }
  const isNumber = (value: number) => Number.isInteger(value) && value > 0 && value < 2 ** 32
  if (!isNumber(head.firkin_blocks) || !isNumber(head.format)) {
    throw badRequest('the first line of the backup does not tell the format')
  }
  return head
}
