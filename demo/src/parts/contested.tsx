// Says, where an entry is shown, that there is another version of it, and leads to the review.

import type { OpenReview } from '../data/reviews'
import { Icon } from './icon'

export function Contested({ review }: { review: OpenReview | undefined }) {
  if (!review) return null
  return (
    <div class="notice" role="status" data-testid="contested">
      <Icon sign="reviews" />
      <div>
        <p>
          <strong>Someone else changed this too.</strong> Both versions are kept until you have looked at them.
        </p>
        <div class="actions">
          <a class="button" href={`#/review/${encodeURIComponent(review.id)}`}>
            Look at both
          </a>
        </div>
      </div>
    </div>
  )
}
