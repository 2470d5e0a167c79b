// The shapes of the documents in Atlas's database.
//
// Countries come with the app and are the same on every device; visits and notes are the person's own, and are what
// is synced. Visits carry neither author nor time, so that two people who mark the same country alike, apart from each
// other, make one and the same revision, and nothing to review.

export interface Named {
  common: string
  official: string
}

export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

/** A country as `world-countries` words it, with what the build derives under `atlas` (build/collection.mjs). */
export interface Country {
  _id: string
  _rev?: string
  kind: 'country'
  name: Named & { native: Record<string, Named> }
  cca2: string
  cca3: string
  tld: string[]
  independent: boolean | null
  unMember: boolean
  currencies: Record<string, { name: string; symbol: string }>
  idd: { root: string; suffixes: string[] }
  capital: string[]
  region: string
  subregion: string
  languages: Record<string, string>
  translations: Record<string, Named>
  latlng: [number, number]
  landlocked: boolean
  borders: string[]
  /** Square kilometres; below zero where the package does not know. */
  area: number
  demonyms: Record<string, { f: string; m: string }>
  atlas: {
    sort: string
    terms: string[]
    /** The flag as SVG text. */
    flag: string
    /** The outline as SVG path data on the world's sheet, 2000 by 974 units; empty where the package has none. */
    path: string
    /** The box of the main land on that sheet. */
    box: Box
  }
}

export type Mark = 'been' | 'want'

export interface Visit {
  _id: string
  _rev?: string
  kind: 'visit'
  country: string
  mark: Mark
  year?: number
  firkin?: Attribution
}

export interface Note {
  _id: string
  _rev?: string
  kind: 'note'
  /** The code of a country, as `FRA`. */
  country: string
  title: string
  text: string
  /** When it was begun and last changed, ISO 8601 in UTC. */
  written: string
  edited: string
  firkin?: Attribution
}

/** What Firkin tells of a revision: who wrote it and when, and what it did with reviews. */
export interface Attribution {
  author?: string
  message?: string
  time?: string
  /** The revisions that this one merged into its parent. */
  merged?: string[]
  /** The merges that this one took back. */
  reverted?: string[]
  /** The policies that merged by themselves; `review` where only a person may go on. */
  policy?: 'review' | object
}

export type Entry = Visit | Note
export type Stored = Country | Entry

export const countryId = (code: string) => `country:${code}`
export const visitId = (code: string) => `visit:${code}`
export const newNoteId = () => `note:${crypto.randomUUID()}`
