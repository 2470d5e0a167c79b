// The list of countries. Arrow keys walk through it, as they do through a list anywhere.

import type { CountryRow } from '../data/countries'
import type { Marks } from '../data/filters'
import { Flag } from './flag'
import { MarkButtons } from './mark-buttons'

export function CountryList({ rows, marks }: { rows: CountryRow[]; marks: Marks }) {
  return (
    <ul class="country-list" onKeyDown={walk}>
      {rows.map((country) => (
        <li key={country._id} class="country-row" data-testid="country-row">
          <Flag svg={country.atlas.flag} />
          <div>
            <a href={`#/country/${country.cca3}`}>{country.name.common}</a>
            <p>
              {[country.capital[0], country.subregion || country.region].filter(Boolean).join(' · ')}
              {country.area > 0 && <span class="area"> · {areaOf(country.area)}</span>}
            </p>
          </div>
          <MarkButtons code={country.cca3} name={country.name.common} mark={marks.get(country.cca3)} />
        </li>
      ))}
    </ul>
  )
}

const areaFormat = new Intl.NumberFormat('en')

export function areaOf(area: number): string {
  return `${areaFormat.format(area)} km²`
}

function walk(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  const target = event.target
  if (step === undefined || !(target instanceof HTMLAnchorElement)) return
  event.preventDefault()
  const links = [...document.querySelectorAll<HTMLElement>('.country-row a')]
  const next = links.indexOf(target) + step
  const goal = next < 0 ? document.querySelector<HTMLElement>('input[type=search]') : links[next]
  goal?.focus()
}
