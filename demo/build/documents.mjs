// The documents that Atlas imports on its first start, made from npm packages alone.
//
// Each is a country of `world-countries` as the package words it, plus one member `atlas` with what the app derives: a name
// to sort by, the words to search by, the flag, and the outline on the world's sheet.
// It must never change a member of the package's own: what is imported is the real data.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { outline, place } from './outline.mjs'

const flags = await import('country-flag-icons/string/3x2')
const folder = dirname(createRequire(import.meta.url).resolve('world-countries/package.json'))

export const source = `world-countries ${readJson('package.json').version}`

export function countryDocuments() {
  return readJson('countries.json').map(documentOf)
}

function documentOf(country) {
  const { geometry } = readJson(`data/${country.cca3.toLowerCase()}.geo.json`).features[0]
  const atlas = {
    sort: folded(country.name.common),
    terms: termsOf(country),
    flag: flags[country.cca2],
    ...(geometry ? outline(geometry) : place(country.latlng)),
  }
  return { _id: `country:${country.cca3}`, kind: 'country', ...country, atlas }
}

/** The words by which a person would look a country up: its names in every language, its capital and its codes. */
function termsOf(country) {
  const names = [...Object.values(country.name.native ?? {}), ...Object.values(country.translations)]
  const texts = [
    country.name.common,
    country.name.official,
    ...names.map(({ common }) => common),
    ...country.altSpellings,
    ...country.capital,
    country.cca2,
    country.cca3,
  ]
  return [...new Set(texts.flatMap((text) => folded(text).split(/[^\p{L}\p{N}]+/u)))].filter(Boolean).sort()
}

/** Lower case without accents. The search folds what is typed in the same way (src/data/words.ts). */
function folded(text) {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').normalize('NFC').toLowerCase()
}

function readJson(path) {
  return JSON.parse(readFileSync(join(folder, path), 'utf8'))
}
