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
import type { Abortable, AnyDocument, ChangesResult, Progress, Refused, Written } from './types.js'

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
  /** How many documents and revisions the backup holds. */
  documents: number
  revisions: number
  /** Revisions that were not taken, as by the app's logic. */
  refused: { id: string; rev: string; status: number; error: string; reason: string }[]
}

type Tell = (progress: Progress) => void
type Source = Pick<Firkin<AnyDocument>, 'name' | 'info' | 'changes' | 'bulkGet' | 'get' | 'review'>
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
    const branched = page.results.filter(({ changes }) => changes.length > 1)
    for (const { id } of branched) {
      const base = await baseOf(db, id, signal)
      if (base === undefined) continue
      text += line(base)
      count.revisions += 1
    }
    for (const found of results.flatMap(({ docs }) => docs.flatMap((row) => ('ok' in row ? [row.ok] : [])))) {
      const doc = found._attachments === undefined ? found : await withData(db, found, signal)
      if (doc === undefined) continue
      text += line(doc)
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

/** What the branches of an open review grew from, if it is held: whoever closes the review needs it, be it a policy. */
async function baseOf(db: Source, id: string, signal: AbortSignal | undefined): Promise<AnyDocument | undefined> {
  try {
    const { base, branches } = await db.review(id)
    return base === null || branches.length < 2 ? undefined : await withData(db, base, signal)
  } catch (error) {
    // It is deleted, with all its branches.
    if (error instanceof FirkinError && error.status === 404) return undefined
    throw error
  }
}

/**
 * The revision with the contents of its attachments. None if it is gone since it was read: it was purged, or replaced and compacted,
 * and then what has replaced it comes later.
 */
async function withData(
  db: Source,
  { _id, _rev }: AnyDocument,
  signal: AbortSignal | undefined,
): Promise<AnyDocument | undefined> {
  try {
    return await db.get(_id, { rev: _rev, revs: true, attachments: true, signal })
  } catch (error) {
    if (error instanceof FirkinError && error.status === 404) return undefined
    throw error
  }
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
      const imported = await importInto(
        db,
        linesOf(pieces),
        (progress) => connection.tell('progress', progress),
        options,
      )
      // What policies decide on is decided when the promise resolves.
      await connection.call('settle', {}, options)
      return imported
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
  let step: Revision[] = []
  const write = async () => {
    const revisions = step
    ;[step, characters] = [[], 0]
    for (const row of await writeRevisions(db, revisions, signal)) {
      if ('error' in row) imported.refused.push({ rev: '', ...row })
    }
    tell({ task: 'import', done: imported.documents, documents: imported.documents, revisions: imported.revisions })
  }
  try {
    for await (const text of lines) {
      number += 1
      if (number === 1) {
        checkHead(text === '' ? {} : parsed(text, number))
        continue
      }
      if (text === '') continue
      if (hasEnded) throw badRequest(`line ${number} of the backup stands behind its end`)
      const value = parsed(text, number)
      // A document may have a member of that name.
      if (value._id === undefined && value.end === true) {
        hasEnded = true
        continue
      }
      step.push({ number, doc: revisionOf(value, number) })
      imported.revisions += 1
      imported.documents += value._id === last ? 0 : 1
      last = value._id
      characters += text.length
      if (characters >= STEP_CHARACTERS || step.length >= STEP_DOCUMENTS) await write()
    }
  } finally {
    // What stands before a damaged line is taken as well.
    if (step.length > 0) await write()
  }
  if (number === 0) throw badRequest('the backup is empty')
  if (!hasEnded) {
    throw badRequest(`the backup is cut off after line ${number}; what stands before was imported, and can be again`)
  }
  return imported
}

/** A revision, and the line where it stands. */
interface Revision {
  number: number
  doc: AnyDocument
}

/** Writes them up to the first that is malformed, which is told with its line. The engine takes a batch whole or not at all. */
async function writeRevisions(
  db: Target,
  revisions: Revision[],
  signal: AbortSignal | undefined,
): Promise<(Written | Refused)[]> {
  try {
    return await db.bulkDocs(revisions.map(({ doc }) => doc) as { _id: string }[], { new_edits: false, signal })
  } catch (error) {
    if (!(error instanceof FirkinError) || (error.status !== 400 && error.status !== 413)) throw error
    const [{ number }] = revisions as [Revision]
    const { status, name, reason } = error
    if (revisions.length === 1) {
      throw new FirkinError({ status, name, reason: `line ${number} of the backup is refused: ${reason}` })
    }
    const half = revisions.length >> 1
    const rows = await writeRevisions(db, revisions.slice(0, half), signal)
    return rows.concat(await writeRevisions(db, revisions.slice(half), signal))
  }
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

/** The revision in a line, with its contents as bytes: a long one is staged bit by bit rather than written as a part of its document. */
function revisionOf(doc: AnyDocument, number: number): AnyDocument {
  if (typeof doc._id !== 'string') throw badRequest(`line ${number} of the backup is no document: it has no _id`)
  // What else is wrong with it the engine says.
  if (typeof doc._attachments !== 'object' || doc._attachments === null) return doc
  const attachments = Object.entries(doc._attachments as { [name: string]: AnyDocument | null }).map(
    ([name, attachment]) => {
      if (typeof attachment?.data !== 'string') return [name, attachment]
      return [name, { ...attachment, data: bytesOf(attachment.data, number) }]
    },
  )
  return { ...doc, _attachments: Object.fromEntries(attachments) }
}

function bytesOf(base64: string, number: number): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw badRequest(`line ${number} of the backup has an attachment that is no base64`, cause)
  }
}
