// What a document tells of itself. It may come from any app that syncs with the same server: what is not as Firkin writes it counts
// as not told.

import type { Attribution } from './documents'

export function attributionOf(document: object): Attribution {
  const told = (document as { firkin?: unknown }).firkin
  if (typeof told !== 'object' || told === null) return {}
  const { author, message, time, merged, reverted, policy } = told as Record<string, unknown>
  return {
    ...texts({ author, message, time }),
    ...(isRevisions(merged) ? { merged } : {}),
    ...(isRevisions(reverted) ? { reverted } : {}),
    ...(policy === 'review' || (typeof policy === 'object' && policy !== null) ? { policy } : {}),
  }
}

function texts(members: { [name: string]: unknown }): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(members).filter((member): member is [string, string] => typeof member[1] === 'string'),
  )
}

const isRevisions = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((rev) => typeof rev === 'string')

/** A place of a document as words: of a text itself, of what another app has put there its JSON. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}
