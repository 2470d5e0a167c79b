// Reviews: a document whose branches are open, what they grew from, and how they are closed.
//
// A merge is one revision on the winning branch and an empty tombstone on each of the others, written in one step.

import { badRequest, conflict, FirkinError, notFound } from './errors.js'
import type { Firkin } from './firkin.js'
import type { Existing, OpenRev, PutOptions, Refused, Tombstone, Writable, Written } from './types.js'

/** A current revision of a document that is not a tombstone. */
export interface Branch<Doc> {
  rev: string
  doc: Existing<Doc>
}

/** What the merged document is: that of a branch, by its revision, or another. */
export type Choice<Doc> = string | (Omit<Doc, '_id' | '_rev'> & { _id?: string; _rev?: string })

export type MergeOptions = Pick<PutOptions, 'author' | 'message' | 'durability' | 'signal'>

export interface Review<Doc> {
  id: string
  /** The newest revision that all branches grew from; `null` if it is not kept, or there is none. */
  base: Existing<Doc> | null
  /** The winning branch comes first. */
  branches: Branch<Doc>[]
  /** Closes the review. 409 `conflict` if the document has changed since the review was opened: then open it again. */
  merge(choice: Choice<Doc>, options?: MergeOptions): Promise<Written>
}

const PAGE = 200

/** The review of one document. */
export async function openReview<Doc extends object>(db: Firkin<Doc>, id: string): Promise<Review<Doc>> {
  const { _rev: winner } = await db.get(id)
  const leaves = await db.get(id, { open_revs: 'all', revs: true })
  const open = leaves.filter(isOpen).map(({ ok }) => ok)
  open.sort((one, other) => Number(other._rev === winner) - Number(one._rev === winner))
  const base = await baseOf(db, id, open)
  const branches = open.map(({ _revisions, ...doc }) => ({ rev: doc._rev, doc: doc as unknown as Existing<Doc> }))
  return { id, base, branches, merge: (choice, options) => merge(db, id, branches, choice, options) }
}

/** The reviews of all documents that have more than one branch. */
export async function* openReviews<Doc extends object>(db: Firkin<Doc>): AsyncGenerator<Review<Doc>, void, undefined> {
  let startkey: string | undefined
  for (;;) {
    const from = startkey === undefined ? {} : { startkey }
    const { rows } = await db.allDocs({ include_docs: true, conflicts: true, limit: PAGE, ...from })
    for (const { id, doc } of rows) {
      // The last of the page before comes first again, unless it was deleted meanwhile.
      if (id === startkey || doc?._conflicts === undefined) continue
      const review = await openReviewIfThere(db, id)
      // What was listed may have been merged or deleted meanwhile.
      if (review !== undefined && review.branches.length > 1) yield review
    }
    if (rows.length < PAGE) return
    startkey = rows.at(-1)?.id
  }
}

async function openReviewIfThere<Doc extends object>(db: Firkin<Doc>, id: string): Promise<Review<Doc> | undefined> {
  try {
    return await openReview(db, id)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof FirkinError && error.status === 404
}

function isOpen<Doc>(leaf: OpenRev<Doc>): leaf is { ok: Existing<Doc> } {
  return 'ok' in leaf && leaf.ok._deleted !== true
}

async function baseOf<Doc extends object>(
  db: Firkin<Doc>,
  id: string,
  leaves: Existing<Doc>[],
): Promise<Existing<Doc> | null> {
  const [first = [], ...others] = leaves.map(historyOf)
  const known = others.map((history) => new Set(history))
  const rev = first.find((candidate) => known.every((history) => history.has(candidate)))
  if (rev === undefined) return null
  try {
    return (await db.get(id, { rev })) as Existing<Doc>
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** The revisions that led to this one, newest first, itself included. */
function historyOf(doc: Existing<object>): string[] {
  const { start, ids } = doc._revisions ?? { start: 0, ids: [] }
  return ids.map((hash, age) => `${start - age}-${hash}`)
}

/** Whether this is an object that JSON writes as one: no list, and no Date or Map, whose members are none. */
function isDocument(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Object]'
}

async function merge<Doc extends object>(
  db: Firkin<Doc>,
  id: string,
  branches: Branch<Doc>[],
  choice: Choice<Doc>,
  options: MergeOptions = {},
): Promise<Written> {
  if (typeof choice !== 'string' && !isDocument(choice)) {
    throw badRequest('a merge takes the revision of a branch, or a document')
  }
  const [winner, ...losers] = branches
  if (winner === undefined) throw notFound('missing')
  const chosen = typeof choice === 'string' ? branches.find(({ rev }) => rev === choice)?.doc : choice
  if (chosen === undefined) throw notFound(`the review has no branch ${choice}`)
  const { author, message, durability, signal } = options
  const merged = losers.map(({ rev }) => rev).sort()
  const told = author === undefined && message === undefined ? {} : { author, message, time: new Date().toISOString() }
  const document = { ...chosen, _id: id, _rev: winner.rev, firkin: { ...told, merged } }
  const tombstones = losers.map(({ rev }): Tombstone => ({ _id: id, _rev: rev, _deleted: true }))
  const writing = {
    atomic: true,
    ...(durability === undefined ? {} : { durability }),
    ...(signal === undefined ? {} : { signal }),
  }
  const rows = await db.bulkDocs([document as unknown as Writable<Doc>, ...tombstones], writing)
  const refused = rows.find((row): row is Refused => 'error' in row)
  if (refused?.error === 'conflict') throw conflict('the document has changed since the review was opened')
  if (refused !== undefined) throw new FirkinError({ ...refused, name: refused.error })
  return rows[0] as Written
}
