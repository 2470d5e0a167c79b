// What reviews and merge policies look like.

import type { Review } from './reviews.js'
import type { Abortable, Durability, Existing } from './types.js'

/** What becomes of a place that branches changed. */
export type MergePolicy =
  | 'review'
  | 'three-way'
  | 'automerge'
  | 'max'
  | 'min'
  | 'union'
  | 'counter'
  | { lastWriter: string }
  | { module: string }

/** A policy for each path, which holds for all below it, and one at `*` for all the rest. */
export type MergePolicies = { [path: string]: MergePolicy }

/** A current revision of a document that is not a tombstone. Who wrote it, why and when are there if that was told. */
export interface Branch<Doc> {
  rev: string
  /** It and what it grew from, newest first. */
  history: string[]
  doc: Existing<Doc>
  author?: string
  message?: string
  time?: string
}

/** A place that both sides changed, each in its own way. What is `undefined` is not there. */
export interface Clash {
  path: string
  base?: unknown
  /** In the branch that wins, or what was made of it and others before. */
  ours?: unknown
  theirs?: unknown
}

/** What stands at one place of a merged document: in a branch, in the base, or a value of its own. */
export type PathChoice = 'ours' | 'theirs' | 'base' | (string & {}) | { value: unknown }

/**
 * What the merged document is: that of a branch, by its revision or as `ours` (the winning one) or `theirs` (the other of two); the
 * proposal; the proposal with what is chosen for some paths; or another document, with its `_id`.
 */
export type Choice<Doc> =
  | 'ours'
  | 'theirs'
  | 'proposal'
  | (string & {})
  | { [path: string]: PathChoice }
  | (Omit<Doc, '_id' | '_rev'> & { _id: string; _rev?: string })

/** Who merges, why and when. The time is now if there is an author or a message and no time. */
export interface MergeOptions extends Abortable {
  durability?: Durability
  author?: string
  message?: string
  time?: string
}

/** The open reviews, in the order of their documents' ids, and what became of those before. */
export interface ReviewsUpdate<Doc extends object> {
  reviews: Review<Doc>[]
  added: Review<Doc>[]
  /** Their documents changed, and they are open still. */
  changed: Review<Doc>[]
  /** As they were. */
  removed: Review<Doc>[]
}
