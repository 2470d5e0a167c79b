// A text with the words marked in which it differs from others.

import { type Piece, piecesOf, shortened } from '../data/diff'

interface Properties {
  text: string
  /** What it is held against; with none nothing is marked. */
  others: string[]
  /** How the words are marked that others lack: as new here, or as gone there. */
  mark: 'ins' | 'del'
  /** Whether long passages in which nothing differs are shown whole. */
  isWhole: boolean
}

export function MarkedText({ text, others, mark: Mark, isWhole }: Properties) {
  if (text === '') return <span class="quiet">–</span>
  const pieces = piecesOf(text, others)
  const shown = (piece: Piece, place: number) =>
    piece.differs ? <Mark key={place}>{piece.text}</Mark> : <span key={place}>{piece.text}</span>
  return <>{(isWhole ? pieces : shortened(pieces)).map(shown)}</>
}
