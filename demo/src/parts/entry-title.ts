import type { Entry } from '../data/documents'

/** What an entry is called where several kinds stand together; `place` is its country's name. */
export function titleOf(entry: Entry, place: string | undefined): string {
  if (entry.kind === 'note') return entry.title || 'Untitled'
  return `Your mark on ${place ?? entry.country}`
}

/** Where an entry is read. */
export function addressOfEntry(entry: Entry): string {
  return entry.kind === 'note' ? `#/note/${encodeURIComponent(entry._id)}` : `#/country/${entry.country}`
}

export function addressOfReview(id: string): string {
  return `#/review/${encodeURIComponent(id)}`
}
