// The versions of an entry side by side, place by place, with what will stand.

import { fieldsOf, type NameOf, wordsOf } from '../data/fields'
import { rowsOf, topOf } from '../data/resolution'
import type { OpenReview } from '../data/reviews'
import { type Side, sidesOf } from '../data/sides'
import type { Resolution } from '../use-resolution'
import { ReviewRow } from './review-row'
import { when } from './when'

interface Properties {
  review: OpenReview
  /** Who writes on this device; empty where that is not known. */
  me: string
  names: { cca3: string; name: { common: string } }[]
  resolution: Resolution
  onKeep: (rev: string) => void
}

export function ReviewTable({ review, me, names, resolution, onKeep }: Properties) {
  const { versions, base } = review
  const sides = sidesOf(versions, me)
  const fields = fieldsOf(versions[0]?.entry.kind ?? 'note', changedPaths(review))
  const rows = rowsOf(review, fields)
  const nameOf: NameOf = (code) => names.find(({ cca3 }) => cca3 === code)?.name.common ?? code
  const columns = sides.length + (base ? 1 : 0)
  const same = fields.filter(({ path }) => rows.every(({ field }) => field.path !== path))
  const entry = versions[0]?.entry as Record<string, unknown> | undefined
  return (
    <div class="compare">
      <div class="compare-sheet" style={{ '--columns': columns }}>
        <div class="review-cells sides">
          {base && <SideHead side={{ rev: base.rev, name: 'Before', author: base.author, time: base.time }} />}
          {sides.map((side, place) => (
            <SideHead key={side.rev} side={side} isShown={place === 0} onKeep={() => onKeep(side.rev)} />
          ))}
        </div>
        {rows.map((row) => (
          <ReviewRow
            key={row.field.path}
            row={row}
            sides={sides}
            picks={resolution.picks}
            names={names}
            nameOf={nameOf}
            onPick={(pick) => resolution.pick(row.field.path, pick)}
          />
        ))}
        {same.length > 0 && (
          <dl class="same">
            {same.map((field) => (
              <div key={field.path}>
                <dt>{field.label}</dt>
                <dd>{wordsOf(field, entry?.[field.path], nameOf) || '–'}</dd>
              </div>
            ))}
            <p class="quiet">The same in all versions</p>
          </dl>
        )}
      </div>
    </div>
  )
}

interface SideProperties {
  side: Side
  /** Whether it is what all pages show meanwhile. */
  isShown?: boolean
  onKeep?: () => void
}

function SideHead({ side: { name, author, time }, isShown, onKeep }: SideProperties) {
  return (
    <div class="side" data-testid="side">
      <h2>
        {name} {isShown && <span class="tag settled">shown now</span>}
      </h2>
      <p class="quiet">{[author, when(time)].filter(Boolean).join(' · ') || 'No author, no time'}</p>
      {onKeep && (
        <button type="button" class="button plain" onClick={onKeep} data-testid="keep">
          {keepLabel(name)}
        </button>
      )}
    </div>
  )
}

function keepLabel(name: string): string {
  if (name.startsWith('Mine') || name.startsWith('Version'))
    return `Keep ${name.replace(/^[MV]/, (letter) => letter.toLowerCase())}`
  return `Keep ${name}’s`
}

/** The members that differ between the versions and what they grew from. */
function changedPaths({ versions, review }: OpenReview): string[] {
  const clashing = review.clashes.map(({ path }) => topOf(path))
  const changed = versions.flatMap(({ rev }) => review.diff(rev).map(({ path }) => path.split('/')[1] ?? ''))
  return [...clashing, ...changed].filter((path) => path !== '')
}
