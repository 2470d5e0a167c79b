// What became of an entry since it was begun, and the way back from its last merge.

import { historyOf } from '../data/history'
import { mergeAt } from '../data/merges'
import { useAnswer } from '../use-answer'
import { RevisionTree } from './revision-tree'
import { undo } from './undo'

export function History({ id }: { id: string }) {
  const { value } = useAnswer(async () => {
    const [revisions, merge] = await Promise.all([historyOf(id), mergeAt(id)])
    return { revisions, merge }
  }, [id])
  if (!value || value.revisions.length === 0) return null
  return (
    <section aria-labelledby="history-title" class="history-section" data-testid="history">
      <div class="section-head">
        <h2 id="history-title">History</h2>
        {value.merge?.isUndoable && (
          <button type="button" class="button plain" onClick={() => void undo(id)} data-testid="history-undo">
            Undo the merge
          </button>
        )}
      </div>
      <RevisionTree revisions={value.revisions} />
    </section>
  )
}
