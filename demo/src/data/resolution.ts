// What a person decides in a review: for each place a version, what stood before, or something of their own.
//
// A place that only one side changed is decided by the policies, and the person may decide otherwise; a clash is open until
// they say. What is chosen outlives a change of the versions as long as it means the same.

import type { PathChoice } from 'firkin'
import type { Field } from './fields'

/** As much of a version as is needed here. */
export interface Source {
  rev: string
  history: string[]
  entry: object
}

export type Pick = { from: string } | { value: unknown }
/** By the places' paths. */
export type Picks = { [path: string]: Pick }

/** The base's name among what can be picked from. */
export const base = 'base'

export interface Row {
  field: Field
  /** What stands there in the base and in each version, by `base` and their revisions. */
  values: Map<string, unknown>
  /** The versions that changed it, by their revisions; where there is no base, those that have it. */
  changedBy: string[]
  isClash: boolean
  proposed: unknown
}

interface Versions {
  versions: Source[]
  base: Source | undefined
}

interface Asked extends Versions {
  review: { clashes: { path: string }[]; proposal: object }
}

/** The places that differ, in the order of the fields. */
export function rowsOf({ versions, base: before, review }: Asked, fields: Field[]): Row[] {
  const { clashes, proposal } = review
  const rows = fields.map((field): Row => {
    const { path } = field
    const values = new Map(versions.map(({ rev, entry }) => [rev, at(entry, path)]))
    const changedBy = [...values].filter(([, value]) => !isSame(value, before && at(before.entry, path)))
    const isClash = clashes.some((clash) => topOf(clash.path) === path)
    if (before) values.set(base, at(before.entry, path))
    return { field, values, changedBy: changedBy.map(([rev]) => rev), isClash, proposed: at(proposal, path) }
  })
  return rows.filter(({ values }) => {
    const [first, ...others] = values.values()
    return others.some((value) => !isSame(value, first))
  })
}

/** The member of a document that a path leads into. */
export function topOf(path: string): string {
  return path.split('.')[0] ?? path
}

/** What is picked for a row: by the person, or, where nothing clashes, by the policies. */
export function pickOf({ field, values, isClash, proposed }: Row, picks: Picks): Pick | undefined {
  const own = picks[field.path]
  if (own !== undefined || isClash) return own
  const [from] = [...values].find(([, value]) => isSame(value, proposed)) ?? []
  return from === undefined ? { value: proposed } : { from }
}

/** What will stand there; nothing while that is open. */
export function outcomeOf(row: Row, picks: Picks): { value: unknown } | undefined {
  const pick = pickOf(row, picks)
  if (pick === undefined) return undefined
  return 'from' in pick ? { value: row.values.get(pick.from) } : pick
}

/** The picks as a merge takes them. What the policies decide on is left to them. */
export function choiceOf(picks: Picks): { [path: string]: PathChoice } {
  return Object.fromEntries(
    Object.entries(picks).map(([path, pick]) => [path, 'from' in pick ? pick.from : { value: pick.value }]),
  )
}

/**
 * The picks that mean the same among the versions that there are now: a version that went on counts as the one before where
 * what was picked of it is as it was.
 */
export function carriedOver(picks: Picks, before: Versions, now: Versions): Picks {
  const carried = Object.entries(picks).flatMap(([path, pick]): [string, Pick][] => {
    if ('value' in pick) return [[path, pick]]
    const was = sourceOf(before, pick.from)
    const source = pick.from === base ? now.base : now.versions.find(({ history }) => history.includes(pick.from))
    if (!was || !source || !isSame(at(was.entry, path), at(source.entry, path))) return []
    return [[path, { from: pick.from === base ? base : source.rev }]]
  })
  return Object.fromEntries(carried)
}

function sourceOf({ base: before, versions }: Versions, from: string): Source | undefined {
  return from === base ? before : versions.find(({ rev }) => rev === from)
}

function at(entry: object, path: string): unknown {
  return (entry as Record<string, unknown>)[path]
}

export function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
