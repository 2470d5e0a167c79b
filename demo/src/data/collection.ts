// The first start: brings the countries from the app's own file into Firkin, batch by batch.
//
// A local document says which edition of the file is in; it is written last, so an import that was broken off begins
// again, and finds what is there already. A later edition changes only the countries that differ.

import { ask, database, read } from './database'
import type { Country } from './documents'

export interface Progress {
  done: number
  all: number
}

interface Marker {
  _id: string
  _rev?: string
  edition: string
}

const markerId = '_local/collection'
const batchSize = 25

/** Whether the countries of this build are in. */
export async function isImported(): Promise<boolean> {
  return (await read<Marker>(markerId))?.edition === __EDITION__
}

export async function importCountries(tell: (progress: Progress) => void): Promise<void> {
  const answer = await fetch('/data/countries.json')
  if (!answer.ok) throw new Error(`The countries could not be fetched (${answer.status}).`)
  const { documents } = (await answer.json()) as { documents: Country[] }
  tell({ done: 0, all: documents.length })
  for (let from = 0; from < documents.length; from += batchSize) {
    await importBatch(documents.slice(from, from + batchSize))
    tell({ done: Math.min(from + batchSize, documents.length), all: documents.length })
  }
  const known = await read<Marker>(markerId)
  const rev = known?._rev === undefined ? {} : { _rev: known._rev }
  await database.put({ _id: markerId, ...rev, edition: __EDITION__ })
}

async function importBatch(batch: Country[]): Promise<void> {
  const docs = await ask<Country>({ selector: { _id: { $in: batch.map(({ _id }) => _id) } } })
  const known = new Map(docs.map((country) => [country._id, country]))
  const changed = batch.flatMap((country) => {
    const { _rev, ...stored } = known.get(country._id) ?? {}
    if (_rev === undefined) return [country]
    return sameShape(stored, country) ? [] : [{ ...country, _rev }]
  })
  if (changed.length === 0) return
  for (const row of await database.bulkDocs(changed)) {
    if ('error' in row && row.status !== 409) throw new Error(row.reason)
  }
}

/** Whether two JSON values are equal, whatever the order of their keys. */
function sameShape(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other
  const keys = Object.keys(one)
  if (keys.length !== Object.keys(other).length || Array.isArray(one) !== Array.isArray(other)) return false
  return keys.every((key) => sameShape(one[key as never], other[key as never]))
}
