// Reading a note.

import { rowsOf } from '../data/countries'
import type { Note } from '../data/documents'
import { dropDraft } from '../data/drafts'
import { noteOf, removeEntry, restoreNote } from '../data/journal'
import { Contested } from '../parts/contested'
import { CountryLink } from '../parts/country-link'
import { History } from '../parts/history'
import { Icon } from '../parts/icon'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { attempt, say } from '../parts/toasts'
import { when } from '../parts/when'
import { go } from '../router'
import { useAnswer } from '../use-answer'

export function NotePage({ id }: { id: string }) {
  const { value, error } = useAnswer(async () => {
    const note = await noteOf(id)
    const [country] = await rowsOf(note ? [note.country] : [])
    return { note, country }
  }, [id])
  if (error) return <Trouble error={error} />
  if (!value) {
    return (
      <Page title="Note" class="note">
        <Waiting rows={2} height={140} />
      </Page>
    )
  }
  const { note, country } = value
  if (!note) return <NoSuchNote />
  return (
    <Page title={note.title} class="note">
      <p class="byline">
        {country && <CountryLink country={country} mark={undefined} />}
        {note.firkin?.author && <span>{note.firkin.author}</span>}
        <time dateTime={note.edited}>{when(note.edited)}</time>
      </p>
      <Contested id={id} />
      <div class="text" data-testid="note-words">
        {note.text}
      </div>
      <div class="actions">
        <a class="button" href={`#/note/${encodeURIComponent(id)}/edit`} data-testid="note-edit">
          <Icon sign="pen" /> Edit
        </a>
        <button type="button" class="button plain danger" onClick={() => void remove(note)} data-testid="note-remove">
          <Icon sign="trash" /> Remove
        </button>
      </div>
      <History id={id} />
    </Page>
  )
}

export function NoSuchNote() {
  return (
    <Page title="No such note">
      <Empty sign="notes" title="This note is not here">
        <p>It was removed, or has not arrived on this device yet.</p>
        <a class="button" href="#/notes">
          All notes
        </a>
      </Empty>
    </Page>
  )
}

function remove(note: Note): Promise<void> {
  return attempt(async () => {
    await removeEntry(note)
    dropDraft(note._id)
    go('#/notes')
    say(`“${note.title}” removed.`, { label: 'Undo', run: () => void attempt(() => restoreNote(note)) })
  })
}
