// One review: the versions side by side, and what shall stand. Nothing is thrown away before the person has said so.

import { allNames } from '../data/countries'
import { statusOf } from '../data/errors'
import { mergeAt } from '../data/merges'
import { choiceOf, topOf } from '../data/resolution'
import { closeReview, type OpenReview } from '../data/reviews'
import { addressOfEntry, titleOf } from '../parts/entry-title'
import { History } from '../parts/history'
import { Icon } from '../parts/icon'
import { Page } from '../parts/page'
import { ReviewTable } from '../parts/review-table'
import { Empty, Trouble, Waiting } from '../parts/states'
import { attempt, say } from '../parts/toasts'
import { undo } from '../parts/undo'
import { go } from '../router'
import { useAnswer } from '../use-answer'
import { useResolution } from '../use-resolution'
import { useReviews } from '../use-reviews'
import { useSettings } from '../use-settings'

type Names = Awaited<ReturnType<typeof allNames>>

export function ReviewPage({ id }: { id: string }) {
  const { reviews, error } = useReviews()
  const { value: names, error: trouble } = useAnswer(allNames, [])
  if (error || trouble) return <Trouble error={error ?? trouble} />
  if (!reviews || !names) {
    return (
      <Page title="Review">
        <Waiting rows={1} height={320} />
      </Page>
    )
  }
  const review = reviews.find((open) => open.id === id)
  return review ? <Decision review={review} names={names} /> : <ClosedReview id={id} />
}

function Decision({ review, names }: { review: OpenReview; names: Names }) {
  const { name } = useSettings()
  const resolution = useResolution(review)
  const { id, versions, base } = review
  const clashes = new Set(review.review.clashes.map(({ path }) => topOf(path)))
  const open = [...clashes].filter((path) => resolution.picks[path] === undefined).length
  const close = (choice: Parameters<typeof closeReview>[1]) =>
    attempt(async () => {
      try {
        await closeReview(review, choice)
      } catch (error) {
        if (statusOf(error) !== 409) throw error
        throw new Error('Someone changed this entry meanwhile. Nothing was merged: look at what is new.')
      }
      go('#/reviews')
      say('Merged. All devices will show this version.', { label: 'Undo', run: () => void undo(id) })
    })
  const entry = versions[0]?.entry
  const place = names.find(({ cca3 }) => cca3 === entry?.country)?.name.common
  return (
    <Page title={entry ? titleOf(entry, place) : 'Review'} class="review">
      <p class="quiet lead">
        This was changed in {versions.length} places apart from each other. What only one side changed is taken; where
        they clash, you decide. The versions that do not stand stay in the history.
      </p>
      {!base && (
        <p class="hint-line" data-testid="no-base">
          <Icon sign="warning" /> There is no common version that these grew from, or this device does not hold it: they
          are compared with each other.
        </p>
      )}
      {resolution.overtaken && (
        <div class="notice" role="alert" data-testid="review-overtaken">
          <Icon sign="sync" />
          <div>
            <p>
              <strong>Someone changed this entry while you were deciding.</strong> Below is what there is now.{' '}
              {resolution.overtaken.lost > 0
                ? 'Choices that mean the same were kept; decide on the others again.'
                : 'Your choices were kept.'}
            </p>
          </div>
        </div>
      )}
      <form
        aria-label="What shall stand"
        onSubmit={(event) => {
          event.preventDefault()
          void close(choiceOf(resolution.picks))
        }}
      >
        <ReviewTable
          review={review}
          me={name}
          names={names}
          resolution={resolution}
          onKeep={(rev) => void close(rev)}
        />
        <footer class="decide">
          <button type="submit" class="button large" data-testid="merge">
            Merge
          </button>
          <p class="quiet" role="status" data-testid="still-open">
            {open === 0
              ? 'What will stand is decided.'
              : `${open === 1 ? 'One clash is' : `${open} clashes are`} still to decide.`}
          </p>
        </footer>
      </form>
      <History id={id} />
    </Page>
  )
}

function ClosedReview({ id }: { id: string }) {
  const { value: merge } = useAnswer(() => mergeAt(id), [id])
  return (
    <Page title="Review">
      <Empty sign="check" title="This review is closed">
        <p>The entry has one version again, here and soon on every device.</p>
        <div class="actions">
          {merge && (
            <a class="button" href={addressOfEntry(merge.entry)}>
              Read it
            </a>
          )}
          <a class="button plain" href="#/reviews">
            All reviews
          </a>
        </div>
      </Empty>
      <History id={id} />
    </Page>
  )
}
