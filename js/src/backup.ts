// Backups: all documents of a database as a stream of lines, and back. docs/backup-format.md tells the lines.
//
// The export walks the changes feed and writes every current revision with its history: a document that changes meanwhile
// comes again, later, so that the end holds what the database held at its last page. Each page is read when the stream's
// reader asks for more, and contents of attachments are read one document at a time. The import writes revisions as a
// replication does: **what is there already stays, so an import can be run again**, and one that was cut off can be repeated.

import { BLOCKS_MAGIC, importBlocks } from './block-backup.js'
import type { Connection } from './connection.js'
import { badRequest, FirkinError } from './errors.js'
import type { Firkin } from './firkin.js'
import { type BackupSource, linesOf, Pieces } from './pieces.js'
import type { Abortable, AnyDocument, ChangesResult, Progress } from './types.js'

/** The version that is written, and the newest that is read. */
const FORMAT = 1
/** How many documents are read at a time. */
const PAGE = 100
/** How much text is written in one step, and how many documents at most. */
const STEP_CHARACTERS = 1_000_000
const STEP_DOCUMENTS = 1000

/** What an import did. */
export interface Imported {
  ok: true
  /** How many documents and current revisions the backup holds. */
  documents: number
  revisions: number
  /** Revisions that were not taken, as by the app's logic. */
  refused: { id: string; rev: string; status: number; error: string; reason: string }[]
}

type Tell = (progress: Progress) => void
type Source = Pick<Firkin<AnyDocument>, 'name' | 'info' | 'changes' | 'bulkGet' | 'get'>
type Target = Pick<Firkin<AnyDocument>, 'bulkDocs'>

const encoder = new TextEncoder()

/** The database as a stream of lines, read as fast as it is taken. */
export function exportFrom(db: Source, tell: Tell, { signal }: Abortable): ReadableStream<Uint8Array<ArrayBuffer>> {
  const lines = backupLines(db, tell, signal)
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await lines.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
    async cancel() {
      await lines.return(undefined)
    },
  })
}

/** The text of the backup, about a page at a time. */
async function* backupLines(db: Source, tell: Tell, signal: AbortSignal | undefined): AsyncGenerator<string, void> {
  yield line({ firkin_backup: FORMAT, db_name: db.name, time: new Date().toISOString() })
  const { doc_count, doc_del_count } = await db.info()
  const count = { documents: 0, revisions: 0 }
  let since: string | number = 0
  for (;;) {
    const page: ChangesResult<AnyDocument> = await db.changes({
      since,
      limit: PAGE,
      style: 'all_docs',
      batch_size: PAGE,
      signal,
    })
    if (page.results.length === 0) break
    const wanted = page.results.flatMap(({ id, changes }) => changes.map(({ rev }) => ({ id, rev })))
    const { results } = await db.bulkGet({ docs: wanted, revs: true, signal })
    let text = ''
    for (const doc of results.flatMap(({ docs }) => docs.flatMap((row) => ('ok' in row ? [row.ok] : [])))) {
      text += line(doc._attachments === undefined ? doc : await withData(db, doc, signal))
      count.revisions += 1
    }
    count.documents += page.results.length
    since = page.last_seq
    // There may be more by now.
    const total = Math.max(doc_count + doc_del_count, count.documents)
    tell({ task: 'export', done: count.documents, total, ...count })
    yield text
  }
  yield line({ end: true, ...count })
}

async function withData(db: Source, { _id, _rev }: AnyDocument, signal: AbortSignal | undefined): Promise<AnyDocument> {
  return db.get(_id, { rev: _rev, revs: true, attachments: true, signal })
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`

/** Takes in a backup of either kind: its beginning tells which it is. */
export async function importAny(
  db: Target,
  connection: Connection,
  source: BackupSource,
  options: Abortable,
): Promise<Imported> {
  const pieces = new Pieces(source)
  try {
    if (!(await pieces.begin(BLOCKS_MAGIC))) {
      return await importInto(db, linesOf(pieces), (progress) => connection.tell(progress), options)
    }
    const counts = await importBlocks(connection, pieces, options)
    return { ok: true, ...counts, refused: [] }
  } finally {
    await pieces.end()
  }
}

/** Writes what a backup of lines holds. */
async function importInto(
  db: Target,
  lines: AsyncIterable<string>,
  tell: Tell,
  { signal }: Abortable,
): Promise<Imported> {
  const imported: Imported = { ok: true, documents: 0, revisions: 0, refused: [] }
  let [number, hasEnded, last, characters] = [0, false, '', 0]
  let step: AnyDocument[] = []
  const write = async () => {
    const rows = await db.bulkDocs(step as { _id: string }[], { new_edits: false, signal })
    for (const row of rows) if ('error' in row) imported.refused.push({ rev: '', ...row })
    ;[step, characters] = [[], 0]
    const { documents, revisions } = imported
    tell({ task: 'import', done: documents, documents, revisions })
  }
  for await (const text of lines) {
    number += 1
    if (text === '') continue
    if (hasEnded) throw badRequest(`line ${number} of the backup stands behind its end`)
    const value = parsed(text, number)
    if (number === 1) checkHead(value)
    else if (value.end === true) hasEnded = true
    else {
      imported.revisions += 1
      imported.documents += value._id === last ? 0 : 1
      last = value._id
      step.push(withBytes(value))
      characters += text.length
      if (characters >= STEP_CHARACTERS || step.length >= STEP_DOCUMENTS) await write()
    }
  }
  if (step.length > 0) await write()
  if (number === 0) throw badRequest('the backup is empty')
  if (!hasEnded) {
    throw badRequest(`the backup is cut off after line ${number}; what stands before was imported, and can be again`)
  }
  return imported
}

function parsed(text: string, number: number): AnyDocument {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw badRequest(`line ${number} of the backup is no JSON: ${(cause as Error).message}`, cause)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw badRequest(`line ${number} of the backup is no object`)
}

function checkHead({ firkin_backup: format }: AnyDocument): void {
  if (!Number.isInteger(format)) throw badRequest('this is no backup: its first line does not say firkin_backup')
  if (format > FORMAT) {
    const reason = `the backup has format ${format}; this version reads formats up to ${FORMAT}`
    throw new FirkinError({ status: 500, name: 'format_too_new', reason })
  }
}

/** Contents as Blobs, so that a long one is staged bit by bit rather than written as a part of its document. */
function withBytes(doc: AnyDocument): AnyDocument {
  if (doc._attachments === undefined) return doc
  const attachments = Object.entries(doc._attachments as { [name: string]: AnyDocument }).map(([name, attachment]) => {
    if (typeof attachment.data !== 'string') return [name, attachment]
    const data = Uint8Array.from(atob(attachment.data), (character) => character.charCodeAt(0))
    return [name, { ...attachment, data }]
  })
  return { ...doc, _attachments: Object.fromEntries(attachments) }
}
