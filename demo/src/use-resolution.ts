// What a person has picked in a review that is open before them, while its versions may change under their hands.

import { useLayoutEffect, useState } from 'preact/hooks'
import { carriedOver, type Pick, type Picks, type Source } from './data/resolution'
import type { OpenReview } from './data/reviews'

export interface Resolution {
  picks: Picks
  pick: (path: string, pick: Pick) => void
  /** Whether the versions changed since the page was opened, and how many picks were lost to that the last time. */
  overtaken: { lost: number } | undefined
}

export function useResolution(review: OpenReview): Resolution {
  const [seen, setSeen] = useState(review)
  const [picks, setPicks] = useState<Picks>({})
  const [overtaken, setOvertaken] = useState<Resolution['overtaken']>()
  useLayoutEffect(() => {
    if (seen === review) return
    setSeen(review)
    if (revsOf(seen) === revsOf(review)) return
    const kept = carriedOver(picks, seen, review)
    setOvertaken({ lost: Object.keys(picks).length - Object.keys(kept).length })
    setPicks(kept)
  }, [review])
  return { picks, pick: (path, pick) => setPicks({ ...picks, [path]: pick }), overtaken }
}

function revsOf({ versions }: { versions: Source[] }): string {
  return versions.map(({ rev }) => rev).join()
}
