// One review: the versions side by side, and what shall stand. Nothing is thrown away before the person has said so.

import { useState } from 'preact/hooks'
import { allNames, rowsOf } from '../data/countries'
import { combined } from '../data/diff'
import type { Entry, Note } from '../data/documents'
import { closeReview, type OpenReview, reviewOf } from '../data/reviews'
import { NoteFields } from '../parts/note-fields'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { attempt, say } from '../parts/toasts'
import { VersionCard } from '../parts/version-card'
import { go } from '../router'
import { useAnswer } from '../use-answer'
import { titleOf } from './reviews'

export function ReviewPage({ id }: { id: string }) {
  const { value, error } = useAnswer(async () => {
    const review = await reviewOf(id)
    const [names, rows] = await Promise.all([allNames(), rowsOf(review ? [review.country] : [])])
    return { review, names, place: rows[0]?.name.common }
  }, [id])
  if (error) return <Trouble error={error} />
  if (!value) {
    return (
      <Page title="Review">
        <Waiting rows={1} height={320} />
      </Page>
    )
  }
  const { review, names, place } = value
  if (!review) {
    return (
      <Page title="Review">
        <Empty sign="check" title="This review is closed">
          <p>The entry has one version again, here and soon on every device.</p>
          <a class="button" href="#/reviews">
            All reviews
          </a>
        </Empty>
      </Page>
    )
  }
  return <Choice review={review} names={names} title={titleOf(review, place)} />
}

interface ChoiceProperties {
  review: OpenReview
  names: Awaited<ReturnType<typeof allNames>>
  title: string
}

function Choice({ review, names, title }: ChoiceProperties) {
  const [combining, setCombining] = useState(false)
  const close = (entry: Entry) =>
    attempt(async () => {
      await closeReview(review, entry)
      go('#/reviews')
      say('Review closed. All devices will show this version.')
    })
  const notes = review.versions.map(({ entry }) => entry).filter((entry) => entry.kind === 'note')
  const nameOf = (code: string) => names.find(({ cca3 }) => cca3 === code)?.name.common ?? code
  return (
    <Page title={title} class="review">
      <p class="quiet">
        This was changed in {review.versions.length} places apart from each other. What differs is marked. Keep one
        version
        {notes.length === review.versions.length && ', or combine them'}: the others stay in its history.
      </p>
      <div class="versions">
        {review.versions.map((version, place) => (
          <VersionCard
            key={version.rev}
            version={version}
            letter={String.fromCharCode(65 + place)}
            other={review.versions[place === 0 ? 1 : 0]?.entry}
            nameOf={nameOf}
            onKeep={() => void close(version.entry)}
          />
        ))}
      </div>
      {notes.length === review.versions.length &&
        (combining ? (
          <Combination notes={notes} names={names} onDone={(note) => void close(note)} />
        ) : (
          <div class="actions">
            <button type="button" class="button plain" data-testid="combine" onClick={() => setCombining(true)}>
              Combine them
            </button>
          </div>
        ))}
    </Page>
  )
}

interface CombinationProperties {
  notes: Note[]
  names: ChoiceProperties['names']
  onDone: (note: Note) => void
}

/** Starts with every line of every text: to cut is easier than to find again. */
function Combination({ notes, names, onDone }: CombinationProperties) {
  const [first] = notes
  const [draft, setDraft] = useState(() => ({
    country: first?.country ?? '',
    title: distinct(notes.map(({ title }) => title)).join(' / '),
    text: notes
      .map(({ text }) => text)
      .reduce(combined)
      .trim(),
  }))
  if (!first) return null
  return (
    <form
      class="editor card"
      aria-label="Combined version"
      onSubmit={(event) => {
        event.preventDefault()
        onDone({ ...first, ...draft, title: draft.title.trim(), edited: new Date().toISOString() })
      }}
    >
      <h2>Combined version</h2>
      <NoteFields draft={draft} names={names} onChange={(changes) => setDraft({ ...draft, ...changes })} />
      <footer>
        <button type="submit" class="button" data-testid="combine-save">
          Save this version
        </button>
      </footer>
    </form>
  )
}

function distinct(texts: string[]): string[] {
  return [...new Set(texts)].filter((text) => text !== '')
}
