// A step before the build: writes the collection to public/data/countries.json, from where the app fetches it once.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countryDocuments, source } from './documents.mjs'

const target = fileURLToPath(new URL('../public/data/countries.json', import.meta.url))
const documents = countryDocuments()
mkdirSync(dirname(target), { recursive: true })
writeFileSync(target, JSON.stringify({ source, documents }))
console.log(`${documents.length} countries of ${source} in public/data/countries.json`)
