// What is typed into the search field, as words that the documents' `atlas.terms` can be asked for.

/** Lower case without accents: the build folds the terms in the same way (build/collection.mjs). */
export function folded(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').normalize('NFC').toLowerCase()
}

export function wordsOf(text: string): string[] {
  return folded(text)
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
}
