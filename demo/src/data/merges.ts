// Reviews that were closed, by a person or by the policies, and how that is taken back.

import { ask, database } from './database'
import type { Entry } from './documents'
import { statusOf } from './errors'
import { authorship } from './journal'
import { isSame } from './resolution'

export interface Merge {
  entry: Entry
  /** Who merged; nothing where the policies did, or nobody gave a name. */
  author: string | undefined
  /** When that was, or, of a merge that does not tell, when its words were written. */
  time: string | undefined
  isByPolicy: boolean
  /** Whether this device holds all that was merged, so that it can be taken back. */
  isUndoable: boolean
}

/** The entries that are a merge as they stand, the latest first. */
export async function latestMerges(limit: number): Promise<Merge[]> {
  const entries = await ask<Entry>({
    selector: { kind: { $in: ['note', 'visit'] }, 'firkin.merged': { $exists: true } },
  })
  const latest = entries.sort((one, other) => (timeOf(one) < timeOf(other) ? 1 : -1)).slice(0, limit)
  return Promise.all(latest.map(mergeOf))
}

/** The merge that an entry is now, if it is one. */
export async function mergeAt(id: string): Promise<Merge | undefined> {
  const [entry] = await ask<Entry>({ selector: { _id: id, 'firkin.merged': { $exists: true } } })
  return entry && mergeOf(entry)
}

async function mergeOf(entry: Entry): Promise<Merge> {
  const { author, policy } = entry.firkin ?? {}
  return {
    entry,
    author,
    time: timeOf(entry) || undefined,
    isByPolicy: policy !== undefined,
    isUndoable: await isUndoable(entry),
  }
}

/**
 * Another device's merge may arrive without the versions that it closed. And one device may confirm another's merge with a
 * revision on top that tells the same: there is nothing to take back from that.
 */
async function isUndoable({ _id: id, _rev, firkin }: Entry): Promise<boolean> {
  const merged = firkin?.merged ?? []
  try {
    const { _revisions } = await database.get<Entry>(id, { ...(_rev === undefined ? {} : { rev: _rev }), revs: true })
    const [, hash] = _revisions?.ids ?? []
    if (_revisions === undefined || hash === undefined) return false
    const parent = `${_revisions.start - 1}-${hash}`
    const { results } = await database.bulkGet<Entry>({ docs: [parent, ...merged].map((rev) => ({ id, rev })) })
    const rows = results.flatMap(({ docs }) => docs)
    return rows.every((row) => 'ok' in row && (row.ok._rev !== parent || !isSame(row.ok.firkin?.merged, merged)))
  } catch (error) {
    // It went on meanwhile.
    if (statusOf(error) === 404) return false
    throw error
  }
}

/** Takes the merge back that an entry is now: its versions are open again. */
export async function undoMerge(id: string): Promise<void> {
  try {
    await (await database.review(id)).revert(authorship())
  } catch (error) {
    const status = statusOf(error)
    if (status === 404)
      throw new Error('This merge cannot be undone here: the versions before it are not on this device.')
    if (status === 409) throw new Error('This merge cannot be undone any more: the entry was changed since.')
    throw error
  }
}

function timeOf(entry: Entry): string {
  return entry.firkin?.time ?? (entry.kind === 'note' ? entry.edited : '')
}
