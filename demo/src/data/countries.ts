// What Atlas asks Firkin about the countries. Every answer is a query; no page keeps the collection.

import { ask, read } from './database'
import { type Box, type Country, countryId, type Named } from './documents'
import { type Facet, type Filters, type Marks, selectorOf } from './filters'

/** As much of a country as a list shows. */
export interface CountryRow {
  _id: string
  cca3: string
  name: Named
  capital: string[]
  region: string
  subregion: string
  area: number
  atlas: { flag: string }
}

/** As much of a country as a map draws. */
export interface CountryShape {
  cca3: string
  name: Named
  atlas: { path: string; box: Box }
}

/** A value of a facet, and how many countries one would see by choosing it. */
export interface Choice {
  value: string
  label: string
  count: number
}

const rowFields = ['_id', 'cca3', 'name.common', 'capital', 'region', 'subregion', 'area', 'atlas.flag']
const shapeFields = ['cca3', 'name.common', 'atlas.path', 'atlas.box']

export async function listCountries(filters: Filters, marks: Marks, limit: number): Promise<CountryRow[]> {
  return ask<CountryRow>({
    selector: selectorOf(filters, marks),
    fields: rowFields,
    sort: [filters.order === 'name' ? 'atlas.sort' : { area: filters.order === 'largest' ? 'desc' : 'asc' }],
    limit,
  })
}

export async function countCountries(filters: Filters, marks: Marks): Promise<number> {
  const found = await ask<object>({ selector: selectorOf(filters, marks), fields: ['_id'] })
  return found.length
}

export async function countryOf(code: string): Promise<Country | undefined> {
  return read<Country>(countryId(code))
}

/** The rows of the countries with these codes, by name. */
export async function rowsOf(codes: string[]): Promise<CountryRow[]> {
  if (codes.length === 0) return []
  return ask<CountryRow>({
    selector: { _id: { $in: codes.map(countryId) } },
    fields: rowFields,
    sort: ['atlas.sort'],
  })
}

/** Code and name of every country, by name: what a choice of a country offers. */
export async function allNames(): Promise<{ cca3: string; name: Named }[]> {
  return ask<CountryShape>({
    selector: { kind: 'country' },
    fields: ['cca3', 'name.common'],
    sort: ['atlas.sort'],
  })
}

export async function allShapes(): Promise<CountryShape[]> {
  return ask<CountryShape>({ selector: { kind: 'country' }, fields: shapeFields })
}

/** The shapes that reach into a part of the sheet: four ranges that the path index answers. */
export async function shapesWithin(part: Box): Promise<CountryShape[]> {
  return ask<CountryShape>({
    selector: {
      'atlas.box.left': { $lte: part.right },
      'atlas.box.right': { $gte: part.left },
      'atlas.box.top': { $lte: part.bottom },
      'atlas.box.bottom': { $gte: part.top },
    },
    fields: shapeFields,
  })
}

/** The choices of each facet, counted among the countries that all other filters leave. */
export async function choicesOf(facet: Facet, filters: Filters, marks: Marks): Promise<Choice[]> {
  const selector = selectorOf(filters, marks, facet)
  const countries = await ask<Country>({ selector, fields: facetFields[facet] })
  const tally = new Map<string, Choice>()
  for (const country of countries) {
    for (const [value, label] of valuesOf(facet, country, marks)) {
      const known = tally.get(value)
      if (known) known.count += 1
      else tally.set(value, { value, label, count: 1 })
    }
  }
  return [...tally.values()].sort((one, other) => one.label.localeCompare(other.label, 'en'))
}

const facetFields: Record<Facet, string[]> = {
  region: ['region'],
  subregion: ['region', 'subregion'],
  language: ['languages'],
  currency: ['currencies'],
  borders: ['borders'],
  mark: ['cca3'],
}

function valuesOf(facet: Facet, country: Country, marks: Marks): [value: string, label: string][] {
  switch (facet) {
    case 'region':
      return [[country.region, country.region]]
    case 'subregion':
      return country.subregion === '' ? [] : [[country.subregion, country.subregion]]
    case 'language':
      return Object.entries(country.languages)
    case 'currency':
      return Object.entries(country.currencies).map(([code, { name }]) => [code, `${name} (${code})`])
    case 'borders':
      return country.borders.map((code) => [code, code])
    case 'mark':
      return [[marks.get(country.cca3) ?? 'none', '']]
  }
}

/** How far the journey has come, region by region. */
export interface RegionShare {
  region: string
  been: number
  want: number
  all: number
}

export interface Overview {
  regions: RegionShare[]
  been: number
  want: number
  all: number
  /** The part of all land, by area, that lies in countries one has been to: 0 to 1. */
  land: number
}

export async function overviewOf(marks: Marks): Promise<Overview> {
  const countries = await ask<Country>({ selector: { kind: 'country' }, fields: ['cca3', 'region', 'area'] })
  const regions = new Map<string, RegionShare>()
  const total = { been: 0, want: 0, all: 0 }
  let [land, landBeen] = [0, 0]
  for (const { cca3, region, area } of countries) {
    const share = regions.get(region) ?? { region, been: 0, want: 0, all: 0 }
    regions.set(region, share)
    const mark = marks.get(cca3)
    for (const sum of [share, total]) {
      sum.all += 1
      if (mark) sum[mark] += 1
    }
    land += Math.max(0, area)
    if (mark === 'been') landBeen += Math.max(0, area)
  }
  return {
    ...total,
    regions: [...regions.values()].sort((one, other) => one.region.localeCompare(other.region, 'en')),
    land: land === 0 ? 0 : landBeen / land,
  }
}
