// Taking a merge back, wherever it is offered.

import { undoMerge } from '../data/merges'
import { go } from '../router'
import { addressOfReview } from './entry-title'
import { attempt, say, withdrawActions } from './toasts'

/** Opens the review again, and leads there. */
export function undo(id: string): Promise<void> {
  return attempt(async () => {
    await undoMerge(id)
    withdrawActions()
    go(addressOfReview(id))
    say('The merge is undone: all versions are there again.')
  })
}
