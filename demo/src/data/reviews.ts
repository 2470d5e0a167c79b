// Entries with more than one version: Firkin keeps every branch, and tells the list of them whenever it changes.

import type { Review } from 'firkin'
import { database } from './database'
import type { Attribution, Entry } from './documents'
import { authorship } from './journal'

export interface Version {
  rev: string
  /** This revision and what it grew from, newest first. */
  history: string[]
  entry: Entry
  author: string | undefined
  time: string | undefined
}

export interface OpenReview {
  id: string
  /** The winning version first: it is what all pages show until the review is closed. */
  versions: Version[]
  /** What all versions grew from; nothing if there is no such version, or this device does not hold it. */
  base: Version | undefined
  review: Review<object>
}

/** The open reviews; nothing until they were first told. */
export interface ReviewsView {
  reviews: OpenReview[] | undefined
  error: unknown
}

const listeners = new Set<() => void>()
let view: ReviewsView = { reviews: undefined, error: undefined }

export function currentReviews(): ReviewsView {
  return view
}

export function onReviews(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

database.reviews().subscribe(
  async ({ reviews }) => show({ reviews: await Promise.all(reviews.map(openReview)), error: undefined }),
  (error) => show({ ...view, error }),
)

function show(next: ReviewsView): void {
  view = next
  for (const listener of listeners) listener()
}

async function openReview(review: Review<object>): Promise<OpenReview> {
  const { id, base } = review
  const versions = await Promise.all(review.branches.map(({ rev, history, doc }) => versionOf(rev, history, doc)))
  return { id, versions, base: base ? await versionOf(base._rev, [base._rev], base) : undefined, review }
}

async function versionOf(rev: string, history: string[], doc: object): Promise<Version> {
  const entry = doc as Entry
  const { author, time } = (await writtenBy(entry, history)) ?? {}
  return { rev, history, entry, author, time: time ?? (entry.kind === 'note' ? entry.edited : undefined) }
}

/** Who wrote a version. Where a merge was taken back the revision tells who did that: the words are those from before the merge. */
async function writtenBy({ _id, firkin }: Entry, history: string[]): Promise<Attribution | undefined> {
  const [merge] = firkin?.reverted ?? []
  if (merge === undefined) return firkin
  const before = history[history.indexOf(merge) + 1]
  if (before === undefined) return undefined
  try {
    return (await database.get<Entry>(_id, { rev: before })).firkin
  } catch {
    return undefined
  }
}

/** When the newest of its versions was written; empty where none tells. */
export function timeOf({ versions }: OpenReview): string {
  return versions.reduce((latest, { time = '' }) => (time > latest ? time : latest), '')
}

/** Closes a review; 409 if the entry has other versions by now. */
export async function closeReview(
  { review }: OpenReview,
  choice: Parameters<Review<object>['merge']>[0],
): Promise<void> {
  await review.merge(choice, authorship())
}
