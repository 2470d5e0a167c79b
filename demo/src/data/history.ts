// Every revision of an entry that is known here, with what each tells of itself.

import { database, read } from './database'
import type { Attribution, Entry } from './documents'
import { statusOf } from './errors'

export interface Revision {
  rev: string
  generation: number
  parent: string | undefined
  isDeleted: boolean
  /** What pages show. */
  isWinner: boolean
  /** What it tells; nothing where its body is not held here any more. */
  told: Attribution | undefined
}

/** So many of the newest revisions are asked for what they tell; older ones are drawn without. */
const toldMax = 300

/** The revisions of all branches, removed ones included, the newest first. Empty for an entry that is not there. */
export async function historyOf(id: string): Promise<Revision[]> {
  const leaves = await leavesOf(id)
  const winner = await read<Entry>(id)
  const revisions = new Map<string, Revision>()
  for (const leaf of leaves) {
    const { start, ids } = leaf._revisions ?? { start: 0, ids: [] }
    for (const [place, hash] of ids.entries()) {
      const generation = start - place
      const rev = `${generation}-${hash}`
      const parent = ids[place + 1]
      revisions.set(rev, {
        rev,
        generation,
        parent: parent === undefined ? undefined : `${generation - 1}-${parent}`,
        isDeleted: false,
        isWinner: rev === winner?._rev,
        told: undefined,
      })
    }
  }
  const all = [...revisions.values()].sort((one, other) => other.generation - one.generation)
  await tell(id, all.slice(0, toldMax))
  return all
}

async function leavesOf(id: string) {
  try {
    const rows = await database.get<Entry>(id, { open_revs: 'all', revs: true })
    return rows.flatMap((row) => ('ok' in row ? [row.ok] : []))
  } catch (error) {
    if (statusOf(error) === 404) return []
    throw error
  }
}

async function tell(id: string, revisions: Revision[]): Promise<void> {
  const { results } = await database.bulkGet<Entry>({ docs: revisions.map(({ rev }) => ({ id, rev })) })
  for (const [place, { docs }] of results.entries()) {
    const [row] = docs
    const revision = revisions[place]
    if (!revision || !row || !('ok' in row)) continue
    revision.isDeleted = row.ok._deleted === true
    const { kind, edited } = row.ok as Partial<Entry & { edited: string }>
    const time = kind === 'note' && edited !== undefined ? { time: edited } : {}
    revision.told = { ...time, ...row.ok.firkin }
  }
}
