// One side of a review: who, when, and every field, with what the other side does not say marked.

import { type Piece, piecesOf } from '../data/diff'
import type { Entry } from '../data/documents'
import type { Version } from '../data/reviews'
import { when } from './when'

interface Properties {
  version: Version
  letter: string
  /** What it is compared with. */
  other: Entry | undefined
  nameOf: (code: string) => string
  onKeep: () => void
}

export function VersionCard({ version, letter, other, nameOf, onKeep }: Properties) {
  const others = new Map(other ? fieldsOf(other, nameOf) : [])
  return (
    <article class="card version" aria-label={`Version ${letter}`} data-testid="version">
      <header>
        <h2>{version.author ?? `Version ${letter}`}</h2>
        <time dateTime={version.time}>{when(version.time)}</time>
      </header>
      <dl>
        {fieldsOf(version.entry, nameOf).map(([name, value]) => {
          const differs = others.get(name) !== value
          return (
            <div key={name}>
              <dt>
                {name} {differs && <span class="tag">differs</span>}
              </dt>
              <dd class={differs ? 'differs' : ''}>
                {differs ? piecesOf(value, others.get(name) ?? '').map(marked) : value || '–'}
              </dd>
            </div>
          )
        })}
      </dl>
      <button type="button" class="button" onClick={onKeep} data-testid={`keep-${letter}`}>
        Keep this version
      </button>
    </article>
  )
}

function marked({ text, differs }: Piece, place: number) {
  return differs ? <ins key={place}>{text}</ins> : <span key={place}>{text}</span>
}

function fieldsOf(entry: Entry, nameOf: (code: string) => string): [name: string, value: string][] {
  if (entry.kind === 'note') {
    return [
      ['Title', entry.title],
      ['Country', nameOf(entry.country)],
      ['Text', entry.text],
    ]
  }
  return [
    ['Country', nameOf(entry.country)],
    ['Mark', entry.mark === 'been' ? 'Been' : 'Want to go'],
    ['Year', entry.year === undefined ? '' : String(entry.year)],
  ]
}
