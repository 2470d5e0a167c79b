// All notes, the one changed last first.

import { rowsOf } from '../data/countries'
import { listNotes } from '../data/journal'
import { Icon } from '../parts/icon'
import { NoteCard } from '../parts/note-card'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { useAnswer } from '../use-answer'

export function NotesPage() {
  const { value, error } = useAnswer(async () => {
    const notes = await listNotes()
    const rows = await rowsOf([...new Set(notes.map(({ country }) => country))])
    return { notes, nameOf: new Map(rows.map(({ cca3, name }) => [cca3, name.common])) }
  }, [])
  if (error) return <Trouble error={error} />
  return (
    <Page
      title="Notes"
      aside={
        <a class="button" href="#/note/new">
          <Icon sign="pen" /> Write a note
        </a>
      }
    >
      {!value && <Waiting rows={4} height={110} />}
      {value?.notes.length === 0 && (
        <Empty sign="notes" title="Your pages are blank">
          <p>Notes stay on this device, and travel to your other devices when you sync.</p>
        </Empty>
      )}
      <div class="cards">
        {value?.notes.map((note) => (
          <NoteCard key={note._id} note={note} place={value.nameOf.get(note.country)} heading="h2" />
        ))}
      </div>
    </Page>
  )
}
