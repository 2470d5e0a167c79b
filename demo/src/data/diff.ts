// Which words of one text are not in the other, and what both say together: by the longest common subsequence.

export interface Piece {
  text: string
  differs: boolean
}

/** Beyond this many words a table of pairs would be too large; between equal ends such texts count as different. */
const wordsMax = 1500

/** The pieces of `text`, marked where one of `others` does not have them. */
export function piecesOf(text: string, others: string[]): Piece[] {
  const words = split(text)
  const kept = others.map((other) => sharedOf(words, split(other)))
  return joined(words.map((word, place) => ({ text: word, differs: kept.some((shared) => !shared.has(place)) })))
}

/** An unchanged passage longer than this many characters is shortened to its ends, each of this many. */
const passageMax = 320
const endLength = 110

/** The pieces without the middle of long passages in which nothing differs. */
export function shortened(pieces: Piece[]): Piece[] {
  return pieces.map((piece, place) => {
    const { text, differs } = piece
    if (differs || text.length <= passageMax) return piece
    const head = text.slice(0, endLength).replace(/\S*$/u, '')
    const tail = text.slice(-endLength).replace(/^\S*/u, '')
    // Nobody reads on from what stands before the first change, or back from what follows on the last.
    const start = place === 0 && pieces.length > 1 ? '' : `${head.trimEnd()} `
    const end = place === pieces.length - 1 && pieces.length > 1 ? '' : ` ${tail.trimStart()}`
    return { text: `${start}[…]${end}`, differs }
  })
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

/** The places in `words` of what both say, one after the other. */
function sharedOf(words: string[], others: string[]): Set<number> {
  const shared = new Set<number>()
  let start = 0
  for (; start < words.length && words[start] === others[start]; start += 1) shared.add(start)
  let end = 0
  const room = Math.min(words.length, others.length) - start
  for (; end < room && words[words.length - 1 - end] === others[others.length - 1 - end]; end += 1) {
    shared.add(words.length - 1 - end)
  }
  const middle = commonOf(words.slice(start, words.length - end), others.slice(start, others.length - end))
  for (const place of middle) shared.add(start + place)
  return shared
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

/** Pieces of a kind made one; a space differs where the words before and after it do. */
function joined(pieces: Piece[]): Piece[] {
  const runs: Piece[] = []
  for (const [place, { text, differs }] of pieces.entries()) {
    const last = runs.at(-1)
    const isBetween = pieces[place - 1]?.differs === true && pieces[place + 1]?.differs === true
    const marked = text.trim() === '' ? isBetween : differs
    if (last?.differs === marked) last.text += text
    else runs.push({ text, differs: marked })
  }
  return runs
}
