// The open reviews: entries that were changed on two devices, apart from each other.

import { rowsOf } from '../data/countries'
import { listReviews, type OpenReview } from '../data/reviews'
import { Flag } from '../parts/flag'
import { Icon } from '../parts/icon'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { useAnswer } from '../use-answer'

export function ReviewsPage() {
  const { value, error } = useAnswer(async () => {
    const reviews = await listReviews()
    const rows = await rowsOf(reviews.map(({ country }) => country))
    return { reviews, rows: new Map(rows.map((row) => [row.cca3, row])) }
  }, [])
  if (error) return <Trouble error={error} />
  return (
    <Page title="Reviews">
      {!value && <Waiting rows={2} height={76} />}
      {value?.reviews.length === 0 && (
        <Empty sign="reviews" title="Nothing to review">
          <p>When two people change the same entry apart from each other, nothing is lost: both versions meet here.</p>
        </Empty>
      )}
      <ul class="review-list">
        {value?.reviews.map((review) => {
          const row = value.rows.get(review.country)
          return (
            <li key={review.id}>
              <a class="card" href={`#/review/${encodeURIComponent(review.id)}`} data-testid="review-card">
                {row ? <Flag svg={row.atlas.flag} /> : <Icon sign="notes" />}
                <div class="review-words">
                  <h2>{titleOf(review, row?.name.common)}</h2>
                  <p class="quiet">Someone else changed this too: {authorsOf(review)}</p>
                </div>
                <Icon sign="forward" />
              </a>
            </li>
          )
        })}
      </ul>
    </Page>
  )
}

export function titleOf(review: OpenReview, place: string | undefined): string {
  const [first] = review.versions
  if (first?.entry.kind === 'note') return first.entry.title
  return `Your mark on ${place ?? review.country}`
}

function authorsOf({ versions }: OpenReview): string {
  const names = [...new Set(versions.map(({ author }) => author ?? 'someone without a name'))]
  return names.length === 1 ? `${names[0]}, on two devices` : names.join(' and ')
}
