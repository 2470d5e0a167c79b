// The places of an entry that a review is about, and how their values read.

import type { Entry } from './documents'

/** What is typed where the value is a person's own; nothing is for a `mark`, whose values are all there, and for what is unknown. */
export type FieldKind = 'line' | 'text' | 'country' | 'year' | 'mark' | 'unknown'

export interface Field {
  path: string
  label: string
  kind: FieldKind
}

const known: Record<Entry['kind'], Field[]> = {
  note: [
    { path: 'title', label: 'Title', kind: 'line' },
    { path: 'country', label: 'Country', kind: 'country' },
    { path: 'text', label: 'Text', kind: 'text' },
  ],
  visit: [
    { path: 'mark', label: 'Mark', kind: 'mark' },
    { path: 'year', label: 'Last in', kind: 'year' },
  ],
}

/** Policies decide on these, and they say nothing to a person. */
const unseen = ['kind', 'written', 'edited']

/** The fields of a kind of entry, and those of `paths` that this version of the app does not know. */
export function fieldsOf(kind: Entry['kind'], paths: string[]): Field[] {
  const fields = known[kind]
  const others = new Set(paths.filter((path) => !unseen.includes(path) && fields.every((field) => field.path !== path)))
  return [...fields, ...[...others].map((path): Field => ({ path, label: path, kind: 'unknown' }))]
}

export type NameOf = (code: string) => string

/** A value as text; empty where nothing stands. */
export function wordsOf({ kind }: Field, value: unknown, nameOf: NameOf): string {
  if (value === undefined) return ''
  if (kind === 'country') return nameOf(String(value))
  if (kind === 'mark') return value === 'been' ? 'Been' : 'Want to go'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
