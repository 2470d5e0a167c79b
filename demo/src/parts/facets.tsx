// The filters of the countries page. Each count says how many countries one would see by choosing it.

import { allNames, type Choice, choicesOf } from '../data/countries'
import type { Facet, Filters } from '../data/filters'
import { allMarks } from '../data/journal'
import { useAnswer } from '../use-answer'

interface Properties {
  filters: Filters
  /** Whether it is unfolded, where the screen is too narrow to show it always. */
  open: boolean
  onChange: (changes: Partial<Filters>) => void
}

const facets: Facet[] = ['mark', 'region', 'subregion', 'language', 'currency', 'borders']
const markLabels: [value: Filters['mark'], label: string][] = [
  ['been', 'Been'],
  ['want', 'Want to go'],
  ['none', 'Not marked'],
]

export function Facets({ filters, open, onChange }: Properties) {
  const { value } = useAnswer(async () => {
    const marks = await allMarks()
    const [names, ...choices] = await Promise.all([
      allNames(),
      ...facets.map((facet) => choicesOf(facet, filters, marks)),
    ])
    const nameOf = new Map(names.map(({ cca3, name }) => [cca3, name.common]))
    return {
      choices: Object.fromEntries(facets.map((facet, place) => [facet, choices[place] ?? []])) as Record<
        Facet,
        Choice[]
      >,
      nameOf,
    }
  }, [JSON.stringify(filters)])
  if (!value) return <div class="facets" />
  const { choices, nameOf } = value
  const countOf = (mark: string) => choices.mark.find((choice) => choice.value === mark)?.count ?? 0
  const neighbours = choices.borders
    .map((choice) => ({ ...choice, label: nameOf.get(choice.value) ?? choice.label }))
    .sort((one, other) => one.label.localeCompare(other.label, 'en'))
  return (
    <form
      id="facets"
      class={open ? 'facets open' : 'facets'}
      aria-label="Filters"
      onSubmit={(event) => event.preventDefault()}
    >
      <Radios
        name="mark"
        title="Your mark"
        chosen={filters.mark}
        choices={markLabels.map(([mark, label]) => ({ value: mark, label, count: countOf(mark) }))}
        onChoose={(mark) => onChange({ mark: mark as Filters['mark'] })}
      />
      <Radios
        name="region"
        title="Region"
        chosen={filters.region}
        choices={choices.region}
        onChoose={(region) => onChange({ region, subregion: '' })}
      />
      {filters.region !== '' && (
        <Radios
          name="subregion"
          title={`Part of ${filters.region}`}
          chosen={filters.subregion}
          choices={choices.subregion}
          onChoose={(subregion) => onChange({ subregion })}
        />
      )}
      <Selection
        title="Language"
        any="Any language"
        chosen={filters.language}
        choices={choices.language}
        onChoose={(language) => onChange({ language })}
      />
      <Selection
        title="Currency"
        any="Any currency"
        chosen={filters.currency}
        choices={choices.currency}
        onChoose={(currency) => onChange({ currency })}
      />
      <Selection
        title="Borders on"
        any="Anything"
        chosen={filters.borders}
        choices={neighbours}
        onChoose={(borders) => onChange({ borders })}
      />
    </form>
  )
}

interface FacetProperties {
  title: string
  chosen: string
  choices: Choice[]
  onChoose: (value: string) => void
}

function Radios({ name, title, chosen, choices, onChoose }: FacetProperties & { name: string }) {
  const all: Choice = { value: '', label: 'All', count: -1 }
  return (
    <fieldset class="facet">
      <legend>{title}</legend>
      {[all, ...choices].map(({ value, label, count }) => (
        <label key={value} class="choice">
          <input
            type="radio"
            name={name}
            value={value}
            checked={chosen === value}
            onChange={() => onChoose(value)}
            data-testid={`facet-${name}-${value || 'all'}`}
          />
          <span>{label}</span>
          {count >= 0 && <span class="count">{count}</span>}
        </label>
      ))}
    </fieldset>
  )
}

function Selection({ title, any, chosen, choices, onChoose }: FacetProperties & { any: string }) {
  return (
    <label class="facet selection">
      <span>{title}</span>
      <select value={chosen} onChange={(event) => onChoose(event.currentTarget.value)}>
        <option value="">{any}</option>
        {chosen !== '' && !choices.some(({ value }) => value === chosen) && <option value={chosen}>{chosen}</option>}
        {choices.map(({ value, label, count }) => (
          <option key={value} value={value}>
            {label} · {count}
          </option>
        ))}
      </select>
    </label>
  )
}
