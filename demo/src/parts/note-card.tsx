// A note as a card: what it says first, who wrote it and when.

import { attributionOf, textOf } from '../data/attribution'
import type { Note } from '../data/documents'
import { titleOf } from './entry-title'
import { when } from './when'

interface Properties {
  note: Note
  /** The country's name, where the page does not say it already. */
  place?: string | undefined
  /** The level of the card's heading, one below what stands above it. */
  heading?: 'h2' | 'h3'
}

export function NoteCard({ note, place, heading: Heading = 'h3' }: Properties) {
  const { author } = attributionOf(note)
  const text = textOf(note.text)
  return (
    <a class="card note-card" href={`#/note/${encodeURIComponent(note._id)}`} data-testid="note-card">
      <Heading>{titleOf(note, place)}</Heading>
      {text && <p>{text}</p>}
      <footer>
        {place && <span class="place">{place}</span>}
        {author && <span>{author}</span>}
        <time dateTime={note.edited}>{when(note.edited)}</time>
      </footer>
    </a>
  )
}
