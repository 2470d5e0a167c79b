// Atlas's one database, and the three ways in which the app reaches it: ask, read, and hear of changes.

import { type FindQuery, Firkin } from 'firkin'
import { statusOf } from './errors'

/**
 * What only one side changed is taken, and the later of two times, by every device alike; where both changed one place
 * differently, a person decides.
 */
export const database = new Firkin('atlas', { merge: { '*': 'three-way', edited: 'max' } })

/** The documents that a query finds, in the shape that its `fields` leave. */
export async function ask<Shape extends object>(query: FindQuery): Promise<Shape[]> {
  const { docs } = await database.find<Shape>(query)
  return docs
}

/** The document of this id, if there is one. */
export async function read<Shape extends object>(id: string): Promise<Shape | undefined> {
  try {
    return await database.get<Shape>(id)
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

const listeners = new Set<() => void>()
const quiet_ms = 40
let announcing = false

/** Calls back after documents have changed: once for a burst of changes, not once for each. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

database.on('changed', () => {
  if (announcing) return
  announcing = true
  setTimeout(() => {
    announcing = false
    for (const listener of listeners) listener()
  }, quiet_ms)
})
