// Which words of one text are not in the other, and what both say together: by the longest common subsequence.

export interface Piece {
  text: string
  differs: boolean
}

/** Beyond this many words a table of pairs would be too large; between equal ends such texts count as different. */
const wordsMax = 1500

/** The pieces of `text`, marked where `other` does not have them. */
export function piecesOf(text: string, other: string): Piece[] {
  const words = split(text)
  const others = split(other)
  let start = 0
  while (start < words.length && words[start] === others[start]) start += 1
  let end = 0
  const room = Math.min(words.length, others.length) - start
  while (end < room && words[words.length - 1 - end] === others[others.length - 1 - end]) end += 1
  const middle = words.slice(start, words.length - end)
  const kept = commonOf(middle, others.slice(start, others.length - end))
  return joined([
    ...words.slice(0, start).map((word) => ({ text: word, differs: false })),
    ...middle.map((word, place) => ({ text: word, differs: !kept.has(place) })),
    ...words.slice(words.length - end).map((word) => ({ text: word, differs: false })),
  ])
}

/** Both texts as one: lines that they share once, lines of one alone where they stand there. */
export function combined(text: string, other: string): string {
  const [lines, others] = [text.split('\n'), other.split('\n')]
  const kept = commonOf(lines, others)
  const union: string[] = []
  let place = 0
  for (const [row, line] of lines.entries()) {
    if (kept.has(row)) {
      const shared = others.indexOf(line, place)
      union.push(...others.slice(place, shared))
      place = shared + 1
    }
    union.push(line)
  }
  return [...union, ...others.slice(place)].join('\n')
}

function split(text: string): string[] {
  return text.match(/\s+|[^\s]+/gu) ?? []
}

/** The places in `words` of a longest common subsequence. */
function commonOf(words: string[], others: string[]): Set<number> {
  const kept = new Set<number>()
  if (words.length > wordsMax || others.length > wordsMax) return kept
  const width = others.length + 1
  const lengths = new Uint16Array((words.length + 1) * width)
  const at = (row: number, column: number) => lengths[row * width + column] ?? 0
  for (let row = words.length - 1; row >= 0; row -= 1) {
    for (let column = others.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] =
        words[row] === others[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1))
    }
  }
  for (let row = 0, column = 0; row < words.length && column < others.length; ) {
    if (words[row] === others[column]) {
      kept.add(row)
      row += 1
      column += 1
    } else if (at(row + 1, column) >= at(row, column + 1)) row += 1
    else column += 1
  }
  return kept
}

/** Pieces of a kind made one; a space between two words that differ differs with them. */
function joined(pieces: Piece[]): Piece[] {
  const runs: Piece[] = []
  for (const [place, { text, differs }] of pieces.entries()) {
    const last = runs.at(-1)
    const between = last?.differs === true && pieces[place + 1]?.differs === true && text.trim() === ''
    const marked = differs || between
    if (last?.differs === marked) last.text += text
    else runs.push({ text, differs: marked })
  }
  return runs
}
