// How a revision tree is drawn: a row for each revision, the newest first, and a lane for each branch.
//
// The winner's line is the first lane. Another line takes the lowest lane that is free from its newest revision down to where
// it parts. Straight runs, in which nothing happens but edit after edit, may be told as one row.

import type { Revision } from './history'

export interface Row {
  /** The newest of its revisions. */
  revision: Revision
  /** How many revisions it stands for. */
  count: number
  lane: number
  isLeaf: boolean
  /** Whether it goes on from a removal. */
  isReopened: boolean
}

/** A line between two rows, by their numbers. */
export interface Line {
  from: number
  to: number
  /** A merge with what it merged, rather than a revision with its parent. */
  isMerge: boolean
  /** The lane that it runs in. */
  lane: number
}

export interface Tree {
  rows: Row[]
  lines: Line[]
  lanes: number
}

/** Fewer than this many in a row are told one by one. */
const runMin = 4

interface Node {
  revision: Revision
  count: number
  parent: string | undefined
  children: string[]
}

export function treeOf(revisions: Revision[], isWhole: boolean): Tree {
  const nodes = nodesOf(revisions)
  if (!isWhole) collapse(nodes)
  const ordered = inOrder([...nodes.values()])
  const rowAt = new Map(ordered.map(({ revision }, row) => [revision.rev, row]))
  const laneAt = new Map<string, number>()
  const lines: Line[] = []
  const taken: [from: number, to: number][][] = []
  const leaves = ordered.filter(({ children }) => children.length === 0)
  const [winner, others] = [leaves.filter(isWinner), leaves.filter((leaf) => !isWinner(leaf))]
  for (const leaf of [...winner, ...others]) {
    const line: Node[] = []
    let node: Node | undefined = leaf
    for (; node && !laneAt.has(node.revision.rev); node = nodes.get(node.parent ?? '')) line.push(node)
    const from = rowAt.get(leaf.revision.rev) ?? 0
    const to = rowAt.get(node?.revision.rev ?? line.at(-1)?.revision.rev ?? '') ?? from
    const lane = freeLane(taken, from, to)
    for (const { revision, parent } of line) {
      laneAt.set(revision.rev, lane)
      const [own, below] = [rowAt.get(revision.rev), rowAt.get(parent ?? '')]
      if (own !== undefined && below !== undefined) lines.push({ from: own, to: below, isMerge: false, lane })
    }
  }
  lines.push(...mergeLines(ordered, nodes, rowAt, laneAt))
  const rows = ordered.map(({ revision, count, children, parent }) => ({
    revision,
    count,
    lane: laneAt.get(revision.rev) ?? 0,
    isLeaf: children.length === 0,
    isReopened: nodes.get(parent ?? '')?.revision.isDeleted === true,
  }))
  return { rows, lines, lanes: taken.length }
}

const isWinner = ({ revision }: Node) => revision.isWinner

function nodesOf(revisions: Revision[]): Map<string, Node> {
  const nodes = new Map(
    revisions.map((revision): [string, Node] => [
      revision.rev,
      { revision, count: 1, parent: revision.parent, children: [] },
    ]),
  )
  for (const { revision } of nodes.values()) nodes.get(revision.parent ?? '')?.children.push(revision.rev)
  return nodes
}

/** Makes each long straight run one node, which stands where its newest revision did. */
function collapse(nodes: Map<string, Node>): void {
  const named = new Set([...nodes.values()].flatMap(({ revision: { told } }) => told?.merged ?? []))
  const isPlain = ({ revision: { rev, parent, isDeleted, told }, children }: Node) =>
    children.length === 1 &&
    parent !== undefined &&
    !isDeleted &&
    !named.has(rev) &&
    told?.merged === undefined &&
    told?.reverted === undefined
  for (const top of [...nodes.values()]) {
    const above = nodes.get(top.children[0] ?? '')
    if (!nodes.has(top.revision.rev) || !isPlain(top) || (above && isPlain(above))) continue
    const run: Node[] = []
    for (let node: Node | undefined = top; node && isPlain(node); node = nodes.get(node.parent ?? '')) run.push(node)
    const last = run.at(-1)
    if (run.length < runMin || !last) continue
    for (const { revision } of run.slice(1)) nodes.delete(revision.rev)
    top.count = run.length
    top.parent = last.parent
    const below = nodes.get(last.parent ?? '')
    if (below) below.children = below.children.map((rev) => (rev === last.revision.rev ? top.revision.rev : rev))
  }
}

/** The newest generation first, and in it the winner, what stands, and what is removed. */
function inOrder(nodes: Node[]): Node[] {
  const rank = (node: Node) => (isWinner(node) ? 0 : node.revision.isDeleted ? 2 : 1)
  return nodes.sort(
    (one, other) =>
      other.revision.generation - one.revision.generation ||
      rank(one) - rank(other) ||
      (one.revision.rev < other.revision.rev ? 1 : -1),
  )
}

/** The lowest lane in which no line runs between two rows; it is taken then. */
function freeLane(taken: [from: number, to: number][][], from: number, to: number): number {
  const isFree = (lane: [from: number, to: number][]) => lane.every(([start, end]) => to <= start || from >= end)
  const found = taken.findIndex(isFree)
  const lane = found < 0 ? taken.length : found
  taken[lane] = [...(taken[lane] ?? []), [from, to]]
  return lane
}

/** Lines from each merge to the ends of the branches that it merged, or to these where they have no end of their own. */
function mergeLines(
  ordered: Node[],
  nodes: Map<string, Node>,
  rowAt: Map<string, number>,
  laneAt: Map<string, number>,
): Line[] {
  return ordered.flatMap(({ revision: { rev, told } }, from) =>
    (told?.merged ?? []).flatMap((merged): Line[] => {
      const branch = nodes.get(merged)
      const end = branch?.children.find((child) => nodes.get(child)?.revision.isDeleted) ?? merged
      const to = rowAt.get(end)
      // What carries the member of an older merge along merged nothing.
      const isOwn = nodes.get(nodes.get(rev)?.parent ?? '')?.revision.told?.merged?.includes(merged) !== true
      return to === undefined || !isOwn ? [] : [{ from, to, isMerge: true, lane: laneAt.get(end) ?? 0 }]
    }),
  )
}
