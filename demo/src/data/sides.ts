// What the versions of a review are called: mine, by their authors, or by letters.

import type { Version } from './reviews'

export interface Side {
  rev: string
  /** `Mine`, `Alice`, `Alice (A)` where she wrote two of them, or `Version A`. */
  name: string
  /** The author's name, where `name` does not say it. */
  author: string | undefined
  time: string | undefined
}

/** The sides in the order of the versions; `me` is who writes on this device, empty where that is not known. */
export function sidesOf(versions: Pick<Version, 'rev' | 'author' | 'time'>[], me: string): Side[] {
  return versions.map(({ rev, author, time }, place) => {
    const letter = String.fromCharCode(65 + place)
    const isOnly = versions.filter((other) => other.author === author).length === 1
    const side = (name: string, by?: string) => ({ rev, name, author: by, time })
    if (author === undefined) return side(`Version ${letter}`)
    if (author === me) return side(isOnly ? 'Mine' : `Mine (${letter})`, author)
    return side(isOnly ? author : `${author} (${letter})`)
  })
}

/** Who wrote them, in a few words: `by Alice and you`. */
export function authorsOf(versions: Pick<Version, 'author'>[], me: string): string {
  const authors = [...new Set(versions.map(({ author }) => author))]
  const others = authors.filter((author) => author !== undefined && author !== me)
  const names = [
    ...others,
    ...(authors.includes(undefined) ? ['someone'] : []),
    ...(authors.includes(me) ? ['you'] : []),
  ]
  if (others.length + (authors.includes(me) ? 1 : 0) === 0) return 'of different devices'
  if (names.length === 1) return `by ${names[0]}, on different devices`
  return `by ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
