// What the countries page is asked to show, as the page's address holds it and as Firkin's selectors say it.

import type { Selector } from 'firkin'
import { countryId, type Mark } from './documents'
import { wordsOf } from './words'

export type Order = 'name' | 'largest' | 'smallest'

export interface Filters {
  words: string
  region: string
  subregion: string
  language: string
  currency: string
  borders: string
  mark: '' | Mark | 'none'
  order: Order
}

export type Facet = 'region' | 'subregion' | 'language' | 'currency' | 'borders' | 'mark'

/** The countries that carry a mark, by code. */
export type Marks = ReadonlyMap<string, Mark>

export const noFilters: Filters = {
  words: '',
  region: '',
  subregion: '',
  language: '',
  currency: '',
  borders: '',
  mark: '',
  order: 'name',
}

export function filtersOf(address: URLSearchParams): Filters {
  const filters = { ...noFilters }
  for (const name of Object.keys(noFilters) as (keyof Filters)[]) {
    const value = address.get(name)
    if (value !== null && allowed(name, value)) Object.assign(filters, { [name]: value })
  }
  return filters
}

export function addressOf(filters: Partial<Filters>): string {
  const address = new URLSearchParams()
  for (const [name, value] of Object.entries(filters)) {
    if (value !== noFilters[name as keyof Filters]) address.set(name, value)
  }
  const text = address.toString()
  return text === '' ? '#/countries' : `#/countries?${text}`
}

/** A code becomes part of a path, so an address typed by hand may hold no more than letters there. */
function allowed(name: keyof Filters, value: string): boolean {
  if (name === 'mark') return ['been', 'want', 'none'].includes(value)
  if (name === 'order') return ['name', 'largest', 'smallest'].includes(value)
  if (name === 'language' || name === 'currency' || name === 'borders') return /^[A-Za-z]{1,8}$/.test(value)
  return value.length <= 200
}

/** All filters as one selector, or all but one: what a facet would count if nothing were chosen in it. */
export function selectorOf(filters: Filters, marks: Marks, except?: Facet): Selector {
  const parts: Selector[] = [{ kind: 'country' }]
  for (const word of wordsOf(filters.words)) {
    parts.push({ 'atlas.terms': { $elemMatch: { $beginsWith: word } } })
  }
  const chosen = (facet: Facet) => facet !== except && filters[facet] !== ''
  if (chosen('region')) parts.push({ region: filters.region })
  if (chosen('subregion')) parts.push({ subregion: filters.subregion })
  if (chosen('language')) parts.push({ [`languages.${filters.language}`]: { $exists: true } })
  if (chosen('currency')) parts.push({ [`currencies.${filters.currency}`]: { $exists: true } })
  if (chosen('borders')) parts.push({ borders: { $elemMatch: { $eq: filters.borders } } })
  if (chosen('mark')) parts.push({ _id: markedIds(filters.mark, marks) })
  return { $and: parts }
}

function markedIds(mark: Filters['mark'], marks: Marks) {
  if (mark === 'none') return { $nin: [...marks.keys()].map(countryId) }
  return { $in: [...marks].filter(([, other]) => other === mark).map(([code]) => countryId(code)) }
}

/** How many filters narrow the list; the order is none. */
export function countOf(filters: Filters): number {
  return Object.entries(filters).filter(([name, value]) => name !== 'order' && value !== '').length
}
