// Entries with more than one version: Firkin keeps every branch, and a person decides.

import type { Review } from 'firkin'
import { database } from './database'
import type { Entry } from './documents'
import { statusOf } from './errors'
import { currentSettings } from './settings'

export interface Version {
  rev: string
  entry: Entry
  author: string | undefined
  time: string | undefined
}

export interface OpenReview {
  id: string
  /** The code of the country that it is about. */
  country: string
  /** The winning version first: it is what all pages show until the review is closed. */
  versions: Version[]
  review: Review<object>
}

export async function listReviews(): Promise<OpenReview[]> {
  const conflicted = await Promise.all(['note:', 'visit:'].map(conflictedIds))
  const reviews = await Promise.all(conflicted.flat().map(reviewOf))
  return reviews.filter((review) => review !== undefined)
}

/** Only a person's own entries can have branches, so the countries are not read through for them. */
async function conflictedIds(prefix: string): Promise<string[]> {
  const range = { startkey: prefix, endkey: `${prefix}\uffff` }
  const { rows } = await database.allDocs({ ...range, include_docs: true, conflicts: true })
  return rows.filter(({ doc }) => doc?._conflicts).map(({ id }) => id)
}

/** Nothing once it is closed, here or on another device. */
export async function reviewOf(id: string): Promise<OpenReview | undefined> {
  try {
    return telling(await database.review(id))
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

/** Makes `entry` the one version, on top of every branch. */
export async function closeReview({ review }: OpenReview, entry: Entry): Promise<void> {
  const { name } = currentSettings()
  const { _rev: _, firkin: __, ...kept } = entry as Entry & { firkin?: unknown }
  await review.merge(kept, name === '' ? {} : { author: name })
}

function telling(review: Review<object>): OpenReview | undefined {
  const versions = review.branches.map(versionOf)
  const [first] = versions
  if (versions.length < 2 || first === undefined) return undefined
  return { id: review.id, country: first.entry.country, versions, review }
}

function versionOf({ rev, doc }: Review<object>['branches'][number]): Version {
  const entry = doc as unknown as Entry & { firkin?: { author?: string; time?: string } }
  return {
    rev,
    entry,
    author: entry.firkin?.author,
    time: entry.firkin?.time ?? ('edited' in entry ? entry.edited : undefined),
  }
}
