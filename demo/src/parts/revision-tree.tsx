// A revision tree as a picture: branches as lanes, revisions as nodes, merges as dashed lines. The list beside it says the same
// in words, row by row, so that nobody has to see the picture.

import { useState } from 'preact/hooks'
import type { Revision } from '../data/history'
import { type Line, type Row, type Tree, treeOf } from '../data/tree'
import { when } from './when'

/** In pixels, as in history.css. */
const rowHeight = 52
const laneWidth = 24

export function RevisionTree({ revisions }: { revisions: Revision[] }) {
  const [isWhole, setWhole] = useState(false)
  const tree = treeOf(revisions, isWhole)
  const isShortened = tree.rows.some(({ count }) => count > 1)
  const width = tree.lanes * laneWidth + 8
  return (
    <div class="history">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be scrolled by keyboard, too */}
      <section class="tree" tabIndex={0} aria-label="Revisions, the newest first">
        <svg
          width={width}
          height={tree.rows.length * rowHeight}
          role="img"
          aria-label={summaryOf(revisions, tree)}
          data-testid="revision-tree"
        >
          {tree.lines.map((line) => (
            <path key={`${line.from} ${line.to}`} d={pathOf(line, tree)} class={line.isMerge ? 'merges' : 'grows'} />
          ))}
          {tree.rows.map((row, place) => (
            <Sign key={row.revision.rev} row={row} x={xOf(row.lane)} y={yOf(place)} />
          ))}
        </svg>
        <ol>
          {tree.rows.map((row) => (
            <li key={row.revision.rev} data-testid="revision">
              <p>
                {wordsOf(row)}
                {row.revision.isWinner && <span class="tag winner">shown</span>}
                {isOpenBranch(row) && <span class="tag">other version</span>}
              </p>
              <p class="quiet">
                {row.count > 1 ? `Generations ${row.revision.generation - row.count + 1} to ` : 'Generation '}
                {row.revision.generation}
                {row.count === 1 && (
                  <span class="hash">
                    {' · '}
                    <code>{row.revision.rev.split('-')[1]?.slice(0, 7)}</code>
                  </span>
                )}
                {row.revision.told?.time && ` · ${when(row.revision.told.time)}`}
              </p>
            </li>
          ))}
        </ol>
      </section>
      {(isShortened || isWhole) && (
        <button type="button" class="link" onClick={() => setWhole(!isWhole)} data-testid="history-whole">
          {isWhole ? 'Show fewer' : `Show all ${revisions.length} revisions`}
        </button>
      )}
    </div>
  )
}

function Sign({ row, x, y }: { row: Row; x: number; y: number }) {
  const { revision, count, isLeaf } = row
  if (count > 1) return <path class="run" d={`M${x} ${y - 9}v18`} />
  if (revision.isDeleted) return <path class="end" d={`M${x - 5} ${y - 5}l10 10m0-10-10 10`} />
  const look = revision.isWinner ? 'winner' : isLeaf ? 'open' : 'passed'
  return (
    <g class={look}>
      {revision.isWinner && <circle class="ring" cx={x} cy={y} r={10} />}
      {isMerge(revision) ? (
        <path class="node" d={`M${x} ${y - 8}l8 8-8 8-8-8z`} />
      ) : (
        <circle class="node" cx={x} cy={y} r={6} />
      )}
    </g>
  )
}

function pathOf({ from, to, isMerge, lane }: Line, { rows }: Tree): string {
  const [start, end] = [xOf(rows[from]?.lane ?? 0), xOf(rows[to]?.lane ?? 0)]
  const [top, bottom] = [yOf(from), yOf(to)]
  const x = xOf(lane)
  const bend = rowHeight * 0.75
  // A merge leaves its lane at once; a branch keeps to its own until it meets what it grew from.
  if (isMerge) return `M${start} ${top}C${x} ${top} ${x} ${top} ${x} ${Math.min(top + bend, bottom)}V${bottom}`
  if (x === end) return `M${x} ${top}V${bottom}`
  return `M${x} ${top}V${bottom - bend}C${x} ${bottom - bend / 3} ${end} ${bottom - bend / 2} ${end} ${bottom}`
}

const xOf = (lane: number) => lane * laneWidth + 16
const yOf = (row: number) => row * rowHeight + rowHeight / 2

const isMerge = ({ told }: Revision) => told?.merged !== undefined
const isOpenBranch = ({ revision, isLeaf }: Row) => isLeaf && !revision.isWinner && !revision.isDeleted

function wordsOf({ revision, count, isReopened }: Row): string {
  const { told, isDeleted, parent } = revision
  if (count > 1) return `${count} edits`
  const by = told?.author === undefined ? '' : ` by ${told.author}`
  if (isDeleted) return 'Branch closed'
  if (isReopened) return 'Opened again'
  if (told === undefined) return 'A version that is not on this device'
  if (told.reverted) return `Merge undone${by}`
  if (told.merged) return told.policy ? 'Merged by itself' : `Merged${by}`
  return parent === undefined ? `Begun${by}` : `Edited${by}`
}

function summaryOf(revisions: Revision[], { rows }: Tree): string {
  const branches = rows.filter(({ revision, isLeaf }) => isLeaf && !revision.isDeleted).length
  const merges = revisions.filter(isMerge).length
  const counted = (count: number, word: string) =>
    `${count} ${word}${count === 1 ? '' : word.endsWith('ch') ? 'es' : 's'}`
  return `Revision tree: ${counted(revisions.length, 'revision')}, ${counted(branches, 'open branch')}, ${counted(merges, 'merge')}`
}
