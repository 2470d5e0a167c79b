import { useEffect, useState } from 'preact/hooks'
import { currentReviews, onReviews, type ReviewsView } from './data/reviews'

/** The open reviews, and the page anew when they change. */
export function useReviews(): ReviewsView {
  const [view, setView] = useState(currentReviews)
  useEffect(() => {
    const follow = () => setView(currentReviews())
    // They may have changed between the first look and now.
    follow()
    return onReviews(follow)
  }, [])
  return view
}
