// The inbox: entries that were changed on two devices, apart from each other, and below it what was closed lately.

import { type CountryRow, rowsOf } from '../data/countries'
import { fieldsOf } from '../data/fields'
import { latestMerges, type Merge } from '../data/merges'
import { topOf } from '../data/resolution'
import { type OpenReview, timeOf } from '../data/reviews'
import { authorsOf } from '../data/sides'
import { addressOfEntry, addressOfReview, titleOf } from '../parts/entry-title'
import { Flag } from '../parts/flag'
import { Icon } from '../parts/icon'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { undo } from '../parts/undo'
import { when } from '../parts/when'
import { useAnswer } from '../use-answer'
import { useReviews } from '../use-reviews'
import { useSettings } from '../use-settings'

const mergesShown = 10

export function ReviewsPage() {
  const { reviews, error } = useReviews()
  const codes = reviews?.map(countryOf) ?? []
  const { value: rows } = useAnswer(() => rowsOf(codes), [codes.join()])
  if (error) return <Trouble error={error} />
  const newest = reviews && [...reviews].sort((one, other) => (timeOf(one) < timeOf(other) ? 1 : -1))
  return (
    <Page title="Reviews">
      {!newest && <Waiting rows={2} height={76} />}
      {newest?.length === 0 && (
        <Empty sign="reviews" title="Nothing to review">
          <p>When two people change the same entry apart from each other, nothing is lost: both versions meet here.</p>
        </Empty>
      )}
      <ul class="review-list">
        {newest?.map((review) => (
          <OpenCard key={review.id} review={review} row={rows?.find(({ cca3 }) => cca3 === countryOf(review))} />
        ))}
      </ul>
      <Closed open={new Set(reviews?.map(({ id }) => id))} />
    </Page>
  )
}

function OpenCard({ review, row }: { review: OpenReview; row: CountryRow | undefined }) {
  const { name } = useSettings()
  const { versions } = review
  const entry = versions[0]?.entry
  if (!entry) return null
  return (
    <li>
      <a class="card" href={addressOfReview(review.id)} data-testid="review-card">
        {row ? <Flag svg={row.atlas.flag} /> : <Icon sign="notes" />}
        <div class="review-words">
          <h2>{titleOf(entry, row?.name.common)}</h2>
          <p class="quiet">
            {versions.length} versions {authorsOf(versions, name)}
          </p>
          <p>
            <span class="tag">{clashesOf(review)}</span>
            <time class="quiet">{when(timeOf(review) || undefined)}</time>
          </p>
        </div>
        <Icon sign="forward" />
      </a>
    </li>
  )
}

function Closed({ open }: { open: Set<string> }) {
  const { value } = useAnswer(async () => {
    const merges = await latestMerges(mergesShown)
    const rows = await rowsOf([...new Set(merges.map(({ entry }) => entry.country))])
    return { merges, nameOf: new Map(rows.map(({ cca3, name }) => [cca3, name.common])) }
  }, [])
  const closed = value?.merges.filter(({ entry }) => !open.has(entry._id)) ?? []
  if (closed.length === 0) return null
  return (
    <section aria-labelledby="closed-title" class="closed" data-testid="closed">
      <h2 id="closed-title">Closed lately</h2>
      <ul>
        {closed.map((merge) => (
          <ClosedRow key={merge.entry._id} merge={merge} place={value?.nameOf.get(merge.entry.country)} />
        ))}
      </ul>
    </section>
  )
}

function ClosedRow({ merge, place }: { merge: Merge; place: string | undefined }) {
  const { entry, time, isUndoable } = merge
  return (
    <li data-testid="closed-row">
      <div class="review-words">
        <a href={addressOfEntry(entry)}>{titleOf(entry, place)}</a>
        <p class="quiet">{[mergedBy(merge), when(time)].filter(Boolean).join(' · ')}</p>
      </div>
      {isUndoable && (
        <button type="button" class="button plain" onClick={() => void undo(entry._id)} data-testid="closed-undo">
          Undo<span class="unseen"> the merge of {titleOf(entry, place)}</span>
        </button>
      )}
    </li>
  )
}

function mergedBy({ author, isByPolicy }: Merge): string {
  if (isByPolicy) return 'Merged by itself, as nothing clashed'
  return author === undefined ? 'Merged' : `Merged by ${author}`
}

function countryOf({ versions }: OpenReview): string {
  return versions[0]?.entry.country ?? ''
}

/** Where it clashes: `Title and text`. */
function clashesOf({ versions, review }: OpenReview): string {
  const paths = new Set(review.clashes.map(({ path }) => topOf(path)))
  const fields = fieldsOf(versions[0]?.entry.kind ?? 'note', [...paths]).filter(({ path }) => paths.has(path))
  const labels = fields.map(({ label }) => label)
  if (labels.length === 0) return 'Nothing clashes'
  return `${labels.length === 1 ? '1 clash' : `${labels.length} clashes`}: ${labels.join(', ')}`
}
