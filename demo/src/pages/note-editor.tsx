// Writing a note, new or known.
//
// The text belongs to whoever types: a change that arrives by sync meanwhile never replaces it. It is announced, and the
// person says which of the two shall stand. What is typed and not saved is kept on this device.

import { useEffect, useState } from 'preact/hooks'
import { attributionOf, textOf } from '../data/attribution'
import { allNames } from '../data/countries'
import type { Note } from '../data/documents'
import { dropDraft, keepDraft, keptDraft } from '../data/drafts'
import { type Draft, noteOf, saveNote } from '../data/journal'
import { titleOf } from '../parts/entry-title'
import { Icon } from '../parts/icon'
import { NoteFields } from '../parts/note-fields'
import { Page } from '../parts/page'
import { Trouble, Waiting } from '../parts/states'
import { attempt } from '../parts/toasts'
import { go } from '../router'
import { useAnswer } from '../use-answer'
import { NoSuchNote } from './note'

/** `new` is the id of a note yet to be written. */
export function NoteEditorPage({ id, query }: { id: string; query: URLSearchParams }) {
  const { value, error } = useAnswer(async () => {
    const [note, names] = await Promise.all([id === 'new' ? undefined : noteOf(id), allNames()])
    return { note, names }
  }, [id])
  if (error) return <Trouble error={error} />
  if (!value) {
    return (
      <Page title="Note" class="note">
        <Waiting rows={2} height={140} />
      </Page>
    )
  }
  if (id !== 'new' && !value.note) return <NoSuchNote />
  return <Editor stored={value.note} names={value.names} country={query.get('country') ?? ''} />
}

interface EditorProperties {
  /** The note as the database holds it now; none for a new one. */
  stored: Note | undefined
  names: Awaited<ReturnType<typeof allNames>>
  /** The country that a new note starts with. */
  country: string
}

function Editor({ stored, names, country }: EditorProperties) {
  const id = stored?._id ?? `new:${country}`
  const [kept] = useState(() => keptDraft(id))
  const [base, setBase] = useState(kept?.base ?? stored)
  const [draft, setDraft] = useState<Draft>(() => startOf(kept?.draft ?? stored, country))
  const [saving, setSaving] = useState(false)
  const touched = !base || differs(draft, base)
  const overtaken = stored !== undefined && stored._rev !== base?._rev
  const follow = (note: Note) => {
    dropDraft(id)
    setBase(note)
    setDraft(startOf(note, ''))
  }
  useEffect(() => {
    if (overtaken && !touched) follow(stored)
  }, [stored?._rev])

  const change = (changes: Partial<Draft>) => {
    const next = { ...draft, ...changes }
    setDraft(next)
    keepDraft(id, { draft: next, ...(base ? { base } : {}) })
  }
  const save = async (on: Note | undefined) => {
    setSaving(true)
    await attempt(async () => {
      const saved = await saveNote({ ...draft, title: draft.title.trim() }, on)
      dropDraft(id)
      go(addressOfNote(saved._id))
    })
    setSaving(false)
  }
  const title = base ? 'Edit note' : 'New note'
  return (
    <Page title={title} class="note">
      {overtaken && touched && !saving && (
        <Overtaken theirs={stored} onTheirs={() => follow(stored)} onMine={() => void save(stored)} />
      )}
      <form
        class="editor"
        aria-label={title}
        onSubmit={(event) => {
          event.preventDefault()
          if (touched && !overtaken && !saving) void save(base)
        }}
        onKeyDown={submitByKey}
      >
        <NoteFields draft={draft} names={names} onChange={change} />
        <footer>
          <button type="submit" class="button" disabled={saving || !touched || overtaken} data-testid="note-save">
            Save
          </button>
          <a class="button plain" href={backOf(base, country)} onClick={() => dropDraft(id)}>
            Discard
          </a>
          {kept && touched && <p class="quiet">With your unsaved words from last time.</p>}
        </footer>
      </form>
    </Page>
  )
}

function Overtaken({ theirs, onTheirs, onMine }: { theirs: Note; onTheirs: () => void; onMine: () => void }) {
  return (
    <div class="notice" role="alert" data-testid="overtaken">
      <Icon sign="warning" />
      <div>
        <p>
          <strong>{attributionOf(theirs).author ?? 'Someone else'} changed this note while you were writing.</strong> It
          now says:
        </p>
        <blockquote>
          <b>{titleOf(theirs, undefined)}</b>
          <p>{textOf(theirs.text)}</p>
        </blockquote>
        <div class="actions">
          <button type="button" class="button" onClick={onMine}>
            Save mine over it
          </button>
          <button type="button" class="button plain" onClick={onTheirs}>
            Take theirs
          </button>
        </div>
      </div>
    </div>
  )
}

/** Ctrl+S and Ctrl+Enter, or with the Mac's command key. */
function submitByKey(event: KeyboardEvent & { currentTarget: HTMLFormElement }): void {
  if (!(event.ctrlKey || event.metaKey) || (event.key !== 's' && event.key !== 'Enter')) return
  event.preventDefault()
  event.currentTarget.requestSubmit()
}

function addressOfNote(id: string): string {
  return `#/note/${encodeURIComponent(id)}`
}

function backOf(base: Note | undefined, country: string): string {
  if (base) return addressOfNote(base._id)
  return country === '' ? '#/notes' : `#/country/${country}`
}

function startOf(from: Draft | undefined, country: string): Draft {
  if (from === undefined) return { country, title: '', text: '' }
  return { country: textOf(from.country), title: textOf(from.title), text: textOf(from.text) }
}

function differs(draft: Draft, note: Note): boolean {
  return draft.country !== note.country || draft.title !== note.title || draft.text !== note.text
}
