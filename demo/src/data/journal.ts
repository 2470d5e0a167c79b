// The person's own entries: which countries carry a mark, and the notes.

import { ask, database, read } from './database'
import { type Entry, type Mark, type Note, newNoteId, type Visit, visitId } from './documents'
import { currentSettings } from './settings'

/** Every marked country's code with its mark. */
export async function allMarks(): Promise<Map<string, Mark>> {
  const visits = await ask<Visit>({ selector: { kind: 'visit' }, fields: ['country', 'mark'] })
  return new Map(visits.map(({ country, mark }) => [country, mark]))
}

export async function visitOf(code: string): Promise<Visit | undefined> {
  return read<Visit>(visitId(code))
}

/** Sets the mark, or takes it away with `null`. A year stays only with a country one has been to. */
export async function setMark(code: string, mark: Mark | null): Promise<void> {
  const known = await visitOf(code)
  if (mark !== null) {
    const year = mark === 'been' && known?.year !== undefined ? { year: known.year } : {}
    const rev = known?._rev === undefined ? {} : { _rev: known._rev }
    await database.put({ _id: visitId(code), ...rev, kind: 'visit', country: code, mark, ...year })
  } else if (known !== undefined) {
    await removeEntry(known)
  }
}

export async function setYear(visit: Visit, year: number | null): Promise<void> {
  const { year: _, firkin: __, ...others } = visit
  await database.put(year === null ? others : { ...others, year })
}

/** Notes, the one changed last first. */
export async function listNotes(options: { country?: string; limit?: number } = {}): Promise<Note[]> {
  const country = options.country === undefined ? {} : { country: options.country }
  const limit = options.limit === undefined ? {} : { limit: options.limit }
  return ask<Note>({
    selector: { kind: 'note', ...country },
    sort: [{ edited: 'desc' }],
    ...limit,
  })
}

export async function noteOf(id: string): Promise<Note | undefined> {
  return read<Note>(id)
}

export interface Draft {
  country: string
  title: string
  text: string
}

/** Writes a new note, or the next revision of `known`; refused with 409 if someone else was there first. */
export async function saveNote(draft: Draft, known?: Note): Promise<Note> {
  const now = new Date().toISOString()
  const { firkin: _, ...kept } = known ?? { _id: newNoteId(), kind: 'note' as const, written: now }
  const note: Note = { ...kept, ...draft, edited: now }
  const { rev } = await database.put(note, authorship())
  return { ...note, _rev: rev }
}

/**
 * Removes an entry. What is left of it keeps its kind, so that a filter on the way to another device still knows whose it
 * was.
 */
export async function removeEntry(entry: Entry): Promise<void> {
  const { _id, _rev, kind } = entry
  await database.put({ _id, _rev, kind, _deleted: true } as never)
}

/** Writes a removed note anew: a revision on top of its removal. */
export async function restoreNote(note: Note): Promise<void> {
  const { _rev: _, firkin: __, ...kept } = note
  await database.put(kept, authorship())
}

/** Who writes on this device, as far as that is known. */
export function authorship(): { author?: string } {
  const { name } = currentSettings()
  return name === '' ? {} : { author: name }
}
