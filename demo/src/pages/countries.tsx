// All countries: a search field, facets, and the list.

import { useEffect, useRef, useState } from 'preact/hooks'
import { countCountries, listCountries } from '../data/countries'
import { addressOf, countOf, type Filters, filtersOf, noFilters } from '../data/filters'
import { allMarks } from '../data/journal'
import { CountryList } from '../parts/country-list'
import { Facets } from '../parts/facets'
import { Icon } from '../parts/icon'
import { Page } from '../parts/page'
import { Empty, Trouble, Waiting } from '../parts/states'
import { replaceAddress } from '../router'
import { useAnswer } from '../use-answer'

const pageSize = 40

export function CountriesPage({ query }: { query: URLSearchParams }) {
  const filters = filtersOf(query)
  const key = JSON.stringify(filters)
  const [open, setOpen] = useState(false)
  const { limit, more } = useLimit(key)
  const { value, error } = useAnswer(async () => {
    const marks = await allMarks()
    const [rows, count] = await Promise.all([listCountries(filters, marks, limit), countCountries(filters, marks)])
    return { marks, rows, count }
  }, [key, limit])
  const change = (changes: Partial<Filters>) => replaceAddress(addressOf({ ...filters, ...changes }))
  const clear = () => change({ ...noFilters, order: filters.order })
  const chosen = countOf({ ...filters, words: '' })
  if (error) return <Trouble error={error} />
  return (
    <Page title="Countries" class="countries">
      <div class="search-bar">
        <SearchField words={filters.words} onWords={(words) => change({ words })} />
        <button
          type="button"
          class="button plain filter-toggle"
          aria-expanded={open}
          aria-controls="facets"
          onClick={() => setOpen(!open)}
        >
          <Icon sign="filter" /> Filters{chosen > 0 && <span class="badge">{chosen}</span>}
        </button>
      </div>
      <div class="with-facets">
        <Facets filters={filters} open={open} onChange={change} />
        <section aria-label="Results" class="results">
          <div class="results-head">
            <p role="status" data-testid="result-count">
              {value ? counted(value.count) : ' '}
            </p>
            {countOf(filters) > 0 && (
              <button type="button" class="link" onClick={clear}>
                Clear all
              </button>
            )}
            <OrderChoice filters={filters} onChange={change} />
          </div>
          {!value && <Waiting rows={8} height={68} />}
          {value?.rows.length === 0 && (
            <Empty sign="search" title="No country fits">
              <p>Try fewer letters, or another region.</p>
              <button type="button" class="button" onClick={clear}>
                Show all countries
              </button>
            </Empty>
          )}
          {value && value.rows.length > 0 && <CountryList rows={value.rows} marks={value.marks} />}
          {value && value.rows.length < value.count && (
            <button type="button" class="button plain more" onClick={more}>
              Show more
            </button>
          )}
        </section>
      </div>
    </Page>
  )
}

const shownBefore = new Map<string, number>()

/** How many rows to ask for. Kept for each set of filters, so that coming back finds the list as long as it was. */
function useLimit(key: string): { limit: number; more: () => void } {
  const [, redraw] = useState(0)
  const limit = shownBefore.get(key) ?? pageSize
  const more = () => {
    shownBefore.set(key, limit + pageSize)
    redraw((count) => count + 1)
  }
  return { limit, more }
}

function counted(count: number): string {
  return count === 1 ? '1 country' : `${count} countries`
}

function SearchField({ words, onWords }: { words: string; onWords: (words: string) => void }) {
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.matches('input, textarea, select')
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      field.current?.focus()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
  return (
    <search class="search-field">
      <Icon sign="search" />
      <input
        ref={field}
        type="search"
        aria-label="Search countries"
        placeholder="Name in any language, capital or code"
        autocomplete="off"
        spellcheck={false}
        enterkeyhint="search"
        data-testid="search"
        value={words}
        onInput={(event) => onWords(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown') return
          event.preventDefault()
          document.querySelector<HTMLElement>('.country-row a')?.focus()
        }}
      />
      <kbd title="This key leads here">/</kbd>
    </search>
  )
}

function OrderChoice({ filters, onChange }: { filters: Filters; onChange: (changes: Partial<Filters>) => void }) {
  return (
    <label class="order">
      <span>Order</span>
      <select
        value={filters.order}
        onChange={(event) => onChange({ order: event.currentTarget.value as Filters['order'] })}
      >
        <option value="name">By name</option>
        <option value="largest">Largest first</option>
        <option value="smallest">Smallest first</option>
      </select>
    </label>
  )
}
