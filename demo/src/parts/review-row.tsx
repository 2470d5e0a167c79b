// One place of a review: what stood before, what each version says, and what will stand. It is a group of radio buttons.

import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { combined } from '../data/diff'
import { type NameOf, wordsOf } from '../data/fields'
import { base, isSame, outcomeOf, type Pick, type Picks, pickOf, type Row } from '../data/resolution'
import type { Side } from '../data/sides'
import { MarkedText } from './marked-text'
import { OwnValue } from './own-value'

interface Properties {
  row: Row
  sides: Side[]
  picks: Picks
  names: { cca3: string; name: { common: string } }[]
  nameOf: NameOf
  onPick: (pick: Pick) => void
}

export function ReviewRow({ row, sides, picks, names, nameOf, onPick }: Properties) {
  const { field, values, isClash } = row
  const [own, setOwn] = useState<unknown>()
  const [isWhole, setWhole] = useState(false)
  const picked = pickOf(row, picks)
  const outcome = outcomeOf(row, picks)
  const texts = new Map([...values].map(([from, value]) => [from, wordsOf(field, value, nameOf)]))
  const isLong = [...texts.values()].some((text) => text.length > 400)
  const write = (value: unknown) => {
    setOwn(value)
    onPick({ value })
  }
  const option = (from: string, name: string) => (
    <Option
      key={from}
      row={row}
      from={from}
      name={name}
      texts={texts}
      isWhole={isWhole}
      isPicked={picked !== undefined && 'from' in picked && picked.from === from}
      onPick={() => onPick({ from })}
    />
  )
  return (
    <fieldset class={`review-row ${isClash && !picked ? 'clash' : ''}`} data-testid={`row-${field.path}`}>
      <legend>
        {field.label} <span class={isClash && !picked ? 'tag' : 'tag settled'}>{saysOf(row, sides, picked)}</span>
        {isLong && (
          <button type="button" class="link" onClick={() => setWhole(!isWhole)}>
            {isWhole ? 'Only what differs' : 'Whole texts'}
          </button>
        )}
      </legend>
      <div class="review-cells">
        {values.has(base) && option(base, 'Before')}
        {sides.map(({ rev, name }) => option(rev, name))}
        <div class={outcome ? 'outcome' : 'outcome open'}>
          <span class="outcome-head">Will stand</span>
          {isOwn(row, picks) ? (
            <OwnValue field={field} value={outcome?.value ?? ''} names={names} onChange={write} />
          ) : (
            <Outcome
              text={outcome && wordsOf(field, outcome.value, nameOf)}
              before={texts.get(base)}
              isWhole={isWhole}
            />
          )}
          {field.kind !== 'mark' && field.kind !== 'unknown' && (
            <RadioLabel
              class="own"
              row={row}
              name="your own"
              isPicked={isOwn(row, picks)}
              onPick={() => write(own ?? startOf(row, outcome))}
            >
              Write your own
            </RadioLabel>
          )}
        </div>
      </div>
    </fieldset>
  )
}

interface OptionProperties extends RadioProperties {
  /** A version's revision, or the base. */
  from: string
  /** What each of them says. */
  texts: Map<string, string>
  isWhole: boolean
}

function Option({ from, texts, isWhole, ...radio }: OptionProperties) {
  const text = texts.get(from) ?? ''
  const before = texts.get(base)
  const others =
    from === base || before === undefined ? [...texts.values()].filter((other) => other !== text) : [before]
  return (
    <RadioLabel class={from === base ? 'option before' : 'option'} {...radio}>
      <span class="option-name">{radio.name}</span>
      <span class="option-words">
        <MarkedText text={text} others={[...new Set(others)]} mark={from === base ? 'del' : 'ins'} isWhole={isWhole} />
      </span>
    </RadioLabel>
  )
}

interface RadioProperties {
  row: Row
  name: string
  isPicked: boolean
  onPick: () => void
}

interface RadioLabelProperties extends RadioProperties {
  class: string
  children: ComponentChildren
}

function RadioLabel({ row: { field, isClash }, name, isPicked, onPick, class: look, children }: RadioLabelProperties) {
  return (
    <label class={look} data-testid="option">
      <input
        type="radio"
        name={field.path}
        required={isClash}
        aria-label={`${field.label}: ${name}`}
        checked={isPicked}
        onChange={onPick}
      />
      {children}
    </label>
  )
}

interface OutcomeProperties {
  text: string | undefined
  before: string | undefined
  isWhole: boolean
}

function Outcome({ text, before, isWhole }: OutcomeProperties) {
  if (text === undefined) return <span class="option-words tag">Choose one of them</span>
  return (
    <span class="option-words" data-testid="outcome">
      <MarkedText
        text={text}
        others={before === undefined ? [] : [before]}
        mark="ins"
        isWhole={isWhole || before === undefined}
      />
    </span>
  )
}

/** Whether what stands is the person's own. */
function isOwn({ field }: Row, picks: Picks): boolean {
  const pick = picks[field.path]
  return pick !== undefined && 'value' in pick
}

/** What one's own words start with: what would stand, or all that the versions say, as to cut is easier than to find again. */
function startOf({ field, values, proposed }: Row, outcome: { value: unknown } | undefined): unknown {
  if (outcome) return outcome.value ?? ''
  const said = [...values].flatMap(([from, value]) => (from === base || typeof value !== 'string' ? [] : [value]))
  if (field.kind === 'text') return said.reduce(combined, '').trim()
  if (field.kind === 'line') return [...new Set(said)].join(' / ')
  return proposed ?? ''
}

function saysOf({ values, changedBy, isClash }: Row, sides: Side[], picked: Pick | undefined): string {
  if (isClash) return picked ? 'Clash, decided' : 'Clash: yours to decide'
  const [first, ...others] = sides.filter(({ rev }) => changedBy.includes(rev))
  if (first === undefined) return ''
  const [one, you] = values.has(base) ? ['changed', 'changed'] : ['has', 'have']
  if (others.length === 0) return first.name === 'Mine' ? `Only you ${you} this` : `Only ${first.name} ${one} this`
  const isAlike = others.every(({ rev }) => isSame(values.get(rev), values.get(first.rev)))
  return isAlike ? 'Changed alike' : 'Decided by rule'
}
