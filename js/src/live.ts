// Live queries: an answer that stays up to date.
//
// The engine tells differences by indexes; here they become lists of documents. A document that has not changed stays the
// same object from one list to the next, and every list is a new array, which is what frameworks compare.

import type { Connection } from './connection.js'
import { Followed, follow } from './follow.js'
import type { FindQuery } from './query-types.js'
import type { Existing } from './types.js'

/** A query whose answer is followed: it has no bookmark; `skip` and `limit` say which part of the order is followed. */
export type LiveQueryOptions = Omit<FindQuery, 'bookmark'>

/** An answer, and what became of the one before. An index of a document that was removed or moved is that in the list before. */
export interface LiveUpdate<Doc> {
  /** The answer, as `find` gives it. A new array each time, with the same objects for what has not changed. */
  docs: Existing<Doc>[]
  /** What was not there before, by its index in `docs`; at first that is everything. */
  added: { index: number; id: string; doc: Existing<Doc> }[]
  /** What was there with other values, by its index in `docs`. */
  changed: { index: number; id: string; doc: Existing<Doc>; before: Existing<Doc> }[]
  /** What stands elsewhere among the others: `from` in the list before, `to` in `docs`. */
  moved: { from: number; to: number; id: string; doc: Existing<Doc> }[]
  /** What is no longer there, by its index in the list before. */
  removed: { index: number; id: string; doc: Existing<Doc> }[]
}

/** A difference as the engine tells it. */
export interface Difference<Doc> {
  removed: number[]
  moved: { from: number; to: number }[]
  added: { index: number; id: string; doc: Doc }[]
  changed: { index: number; doc: Doc }[]
}

export interface Entry<Doc> {
  id: string
  doc: Doc
}

/** The answer of a query, and every answer that it has from then on. */
export class LiveQuery<Doc> extends Followed<LiveUpdate<Doc>> {
  readonly #connection: Connection
  readonly #query: object

  constructor(connection: Connection, { signal, ...query }: Partial<LiveQueryOptions>) {
    super(signal)
    this.#connection = connection
    this.#query = query
  }

  protected async *values(signal: AbortSignal): AsyncGenerator<LiveUpdate<Doc>, void, undefined> {
    let entries: Entry<Existing<Doc>>[] | undefined
    for await (const { isFirst, news } of follow(this.#connection, 'live', { query: this.#query }, signal)) {
      const told = news as Difference<Existing<Doc>>
      const difference: Difference<Existing<Doc>> = isFirst ? compare(entries ?? [], told.added) : told
      if (entries !== undefined && isEmpty(difference)) continue
      const before: Entry<Existing<Doc>>[] = entries ?? []
      entries = apply(before, difference)
      yield update(before, entries, difference)
    }
  }
}

/** The list that a difference makes of another. */
export function apply<Doc>(before: Entry<Doc>[], difference: Difference<Doc>): Entry<Doc>[] {
  const { removed, moved, added, changed } = difference
  const after = new Array<Entry<Doc> | undefined>(before.length - removed.length + added.length).fill(undefined)
  for (const { index, id, doc } of added) after[index] = { id, doc }
  for (const { from, to } of moved) after[to] = before[from]
  const placed = new Set([...removed, ...moved.map(({ from }) => from)])
  let next = 0
  const kept = before.filter((_, index) => !placed.has(index))
  for (const [index, entry] of after.entries()) {
    if (entry === undefined) after[index] = kept[next++]
  }
  const entries = after as Entry<Doc>[]
  for (const { index, doc } of changed) entries[index] = { id: (entries[index] as Entry<Doc>).id, doc }
  return entries
}

/** The difference of two lists. It may tell more moves than are needed: one list comes from an engine of another tab. */
export function compare<Doc>(before: Entry<Doc>[], after: Entry<Doc>[]): Difference<Doc> {
  const indexes = new Map(after.map(({ id }, index) => [id, index]))
  const known = new Set(before.map(({ id }) => id))
  const difference: Difference<Doc> = { removed: [], moved: [], added: [], changed: [] }
  let highest = -1
  for (const [from, { id, doc }] of before.entries()) {
    const to = indexes.get(id)
    if (to === undefined) {
      difference.removed.push(from)
      continue
    }
    if (to < highest) difference.moved.push({ from, to })
    highest = Math.max(highest, to)
    const now = (after[to] as Entry<Doc>).doc
    if (JSON.stringify(doc) !== JSON.stringify(now)) difference.changed.push({ index: to, doc: now })
  }
  for (const [index, { id, doc }] of after.entries()) {
    if (!known.has(id)) difference.added.push({ index, id, doc })
  }
  return difference
}

function isEmpty({ removed, moved, added, changed }: Difference<unknown>): boolean {
  return removed.length + moved.length + added.length + changed.length === 0
}

function update<Doc>(
  before: Entry<Existing<Doc>>[],
  after: Entry<Existing<Doc>>[],
  difference: Difference<Existing<Doc>>,
): LiveUpdate<Doc> {
  const was = (index: number) => before[index] as Entry<Existing<Doc>>
  const is = (index: number) => after[index] as Entry<Existing<Doc>>
  const earlier = difference.changed.length > 0 ? new Map(before.map(({ id, doc }) => [id, doc])) : undefined
  return {
    docs: after.map(({ doc }) => doc),
    added: difference.added.map(({ index, id, doc }) => ({ index, id, doc })),
    changed: difference.changed.map(({ index, doc }) => {
      const { id } = is(index)
      return { index, id, doc, before: earlier?.get(id) as Existing<Doc> }
    }),
    moved: difference.moved.map(({ from, to }) => ({ from, to, ...is(to) })),
    removed: difference.removed.map((index) => ({ index, ...was(index) })),
  }
}
