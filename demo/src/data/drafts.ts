// Words typed and not yet saved. They outlive a step to another page, a reload and a closed tab, and belong to this
// device alone; a saved note is a document.

import type { Note } from './documents'
import type { Draft } from './journal'

export interface KeptDraft {
  draft: Draft
  /** The note as it was when the writing began; none for a new one. */
  base?: Note
}

const keyOf = (id: string) => `atlas-draft:${id}`

export function keptDraft(id: string): KeptDraft | undefined {
  try {
    const text = localStorage.getItem(keyOf(id))
    return text === null ? undefined : (JSON.parse(text) as KeptDraft)
  } catch {
    return undefined
  }
}

export function keepDraft(id: string, kept: KeptDraft): void {
  try {
    localStorage.setItem(keyOf(id), JSON.stringify(kept))
  } catch {
    // Without storage the words live as long as the page does.
  }
}

export function dropDraft(id: string): void {
  try {
    localStorage.removeItem(keyOf(id))
  } catch {
    // Nothing was kept either.
  }
}
