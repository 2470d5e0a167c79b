// Says, where an entry is shown, that there is another version of it, and leads to the review.

import { useReviews } from '../use-reviews'
import { addressOfReview } from './entry-title'
import { Icon } from './icon'

export function Contested({ id }: { id: string }) {
  const review = useReviews().reviews?.find((open) => open.id === id)
  if (!review) return null
  const count = review.versions.length
  return (
    <div class="notice" role="status" data-testid="contested">
      <Icon sign="reviews" />
      <div>
        <p>
          <strong>Someone else changed this too.</strong> {count === 2 ? 'Both' : `All ${count}`} versions are kept
          until you have looked at them.
        </p>
        <div class="actions">
          <a class="button" href={addressOfReview(id)}>
            Review the versions
          </a>
        </div>
      </div>
    </div>
  )
}
