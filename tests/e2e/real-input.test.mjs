// Two real collections in real Chromium over real IndexedDB: what is put comes back, and what is asked is answered.
//
// MDN's browser compatibility data (a document per feature and one per browser) and the world's countries are in one
// database, so that paths are missing from most documents and values of one path differ in type. Every answer is held
// against a plain filter and sort over the same data.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { launchProfile, loadFirkin, openPage } from '../support/browser.mjs'
import { compareStrings, naiveDistinct, naiveFind, naivePaths } from '../support/naive.mjs'
import { serveStatic } from '../support/static-server.mjs'

const require = createRequire(import.meta.url)
const compatibility = require('@mdn/browser-compat-data')
const countries = require('world-countries')

const batch = 500
const chrome = 'support.chrome.version_added'
const firefox = 'support.firefox.version_added'

const queries = {
  'equality of a string': { selector: { region: 'Oceania' } },
  'equality of a boolean': { selector: { landlocked: true } },
  'equality of null': { selector: { independent: null } },
  'equality of false, which is not a missing path': { selector: { [chrome]: false } },
  'equality of an array': { selector: { borders: ['AUT', 'CHE'] } },
  'equality of a number': { selector: { area: 83871 } },
  'a name beyond ASCII': { selector: { 'translations.jpn.common': 'オーストリア' } },
  'a range of numbers': { selector: { area: { $gte: 300, $lt: 5000 } } },
  'a range of fractions and negative numbers': { selector: { 'latlng.0': { $gt: -23.5, $lt: 0.5 } } },
  'a range of strings': { selector: { cca3: { $gte: 'F', $lt: 'K' } } },
  'a range of strings beyond ASCII': { selector: { 'translations.rus.common': { $gte: 'М', $lte: 'Т' } } },
  'a range without an end spans the types': { selector: { status: { $gt: 'officially-assigned' } }, limit: 60 },
  'a range that reaches into arrays': { selector: { spec_url: { $gt: 'https://www' } } },
  '$and of two paths': { selector: { $and: [{ region: 'Europe' }, { landlocked: true }] } },
  '$and of deep paths': { selector: { 'status.experimental': true, [chrome]: false, [firefox]: { $type: 'string' } } },
  '$or of a string and a number': { selector: { $or: [{ subregion: 'Caribbean' }, { area: { $gt: 5000000 } }] } },
  '$or within $and': { selector: { region: 'Asia', $or: [{ landlocked: true }, { area: { $lt: 2000 } }] } },
  '$nor beside an equality': {
    selector: { region: 'Africa', $nor: [{ landlocked: true }, { 'latlng.0': { $lt: 0 } }] },
  },
  '$ne does not hold of a missing path': { selector: { unRegionalGroup: { $ne: 'African Group' } } },
  '$in of strings': { selector: { cca2: { $in: ['AT', 'JP', 'ZW', 'nowhere'] } } },
  '$in of an array by membership': { selector: { borders: { $in: ['CHN', 'BRA'] } } },
  '$in of mixed types': { selector: { [firefox]: { $in: [false, '1', '1.5', 66, null] } }, limit: 80 },
  '$nin beside a prefix': { selector: { _id: { $gt: 'http.', $lt: 'http/' }, [firefox]: { $nin: ['1', false] } } },
  $all: { selector: { borders: { $all: ['FRA', 'DEU'] } } },
  $size: { selector: { borders: { $size: 9 } } },
  '$exists of a deep path': { selector: { 'currencies.EUR.symbol': { $exists: true } } },
  '$exists: false': { selector: { mdn_url: { $exists: false }, 'status.deprecated': true } },
  '$elemMatch of a value': { selector: { tld: { $elemMatch: { $beginsWith: '.c' } } } },
  '$elemMatch of objects': { selector: { 'support.chrome': { $elemMatch: { prefix: '-webkit-' } } } },
  '$elemMatch of a range': { selector: { latlng: { $elemMatch: { $gt: 150 } } } },
  '$type of a path with several': { selector: { 'support.safari': { $type: 'array' } }, limit: 100 },
  $beginsWith: { selector: { source_file: { $beginsWith: 'css/properties/grid' } } },
  $regex: { selector: { source_file: { $regex: '^css/properties/grid-.*[ws]\\.json$' } } },
  $allMatch: { selector: { latlng: { $allMatch: { $gt: 40 } } } },
  $keyMapMatch: { selector: { currencies: { $keyMapMatch: { $beginsWith: 'X' } } } },
  $mod: { selector: { area: { $mod: [7, 3] } } },
  'a position in an array': { selector: { 'capital.0': { $gte: 'S', $lt: 'T' } } },
  'a member of an object in an array': { selector: { 'support.nodejs.0.version_added': '17.2.0' } },
  'a dot in a name': { selector: { 'releases.3\\.5.status': 'retired' } },
  'a dot in a name, by its number': { selector: { 'releases.1\\.1.index': { $gte: 1 } } },
  'a number as a name': { selector: { 'releases.4.engine': { $exists: true } } },
  'a path that no document has': { selector: { 'nowhere.at.all': { $gt: null } } },
  'ids by range': { selector: { _id: { $gt: 'javascript.builtins.Array', $lt: 'javascript.builtins.B' } } },
  'sort ascending': { selector: { region: 'Americas' }, sort: [{ area: 'asc' }] },
  'sort descending with limit': { selector: { area: { $gt: 0 } }, sort: [{ area: 'desc' }], limit: 20 },
  'sort with skip': { selector: { area: { $gt: 1000 } }, sort: [{ area: 'asc' }], skip: 40, limit: 15 },
  'sort by a name beyond ASCII': { selector: {}, sort: [{ 'translations.ces.common': 'asc' }] },
  'sort by two paths': { selector: { cca2: { $gt: '' } }, sort: [{ subregion: 'asc' }, { 'name.common': 'asc' }] },
  'sort descending with equal values': { selector: { landlocked: false }, sort: [{ region: 'desc' }] },
  'sort of false, true and strings': {
    selector: { [chrome]: { $lt: '12' } },
    sort: [{ [chrome]: 'desc' }],
    limit: 120,
  },
  'sort of strings and arrays': {
    selector: { spec_url: { $gt: 'https://web' } },
    sort: [{ spec_url: 'desc' }],
    limit: 90,
  },
  'sort by a path that many lack': {
    selector: { source_file: { $gt: 'c' } },
    sort: [{ description: 'asc' }],
    limit: 50,
  },
  'sort by another path than is asked': {
    selector: { 'status.deprecated': true },
    sort: [{ mdn_url: 'asc' }],
    limit: 50,
  },
  'chosen fields': {
    selector: { region: 'Europe' },
    fields: ['_id', 'name.common', 'nowhere'],
    sort: [{ area: 'asc' }],
  },
}

/** How many documents may be read beside those that are needed, where postings do not decide it all. */
const undecided = {
  // Which documents lack a path, their postings do not say.
  '$exists: false': 700,
  // One element that matches is found, whether all do is not; and longer objects are cut.
  $allMatch: 200,
  $keyMapMatch: 30,
  // Values whose keys were cut are ordered by their documents, all that begin alike.
  'sort of strings and arrays': 10,
}

const paged = {
  'by id': { selector: { [chrome]: '1' } },
  'by a path with equal values': { selector: { cca2: { $gt: null } }, sort: [{ region: 'asc' }] },
  'backwards by mixed types': { selector: { 'status.standard_track': false }, sort: [{ [firefox]: 'desc' }] },
}

let folder
let site
let context
let page
let stored

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'real-input-'))
  site = await serveStatic({ '/documents.json': collection() })
  context = await launchProfile(join(folder, 'profile'))
  page = await openPage(context, site.origin)
  await openDatabase()
})

after(async () => {
  await context?.close()
  await site?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('both collections are imported, and every document comes back as it was put', async (t) => {
  const { revs, ms } = await page.evaluate(importAll, batch)
  const documents = collection()
  assert.equal(revs.length, documents.length)
  stored = new Map(documents.map((doc, index) => [doc._id, { ...doc, _rev: revs[index] }]))
  t.diagnostic(`import: ${stored.size} documents, ${(ms / 1000).toFixed(1)} s, ${perSecond(stored.size, ms)} docs/s`)
  await holdsWhatIsStored()
})

test('queries answer as a plain filter and sort does', async (t) => {
  const answers = await answersAll(t)
  const empty = Object.keys(queries).filter((name) => answers[name] === 0)
  assert.deepEqual(empty, ['a path that no document has'])
})

test('the index serves every query that it can, and no document is read in vain', async (t) => {
  const documents = sortedIds().map((id) => stored.get(id))
  const told = []
  const wasted = []
  for (const [name, query] of Object.entries(queries)) {
    const plan = await page.evaluate((asked) => window.db.explain(asked), query)
    const matching = naiveFind(documents, { selector: query.selector, sort: query.sort ?? [] }).length
    told.push(`${name}: ${plan.way}, ${plan.postings_read} postings, ${plan.documents_read} documents`)
    assert.notEqual(plan.way, 'scan', name)
    const needed = query.limit === undefined ? matching : Math.min(matching, query.limit + (query.skip ?? 0))
    const allowed = needed + (undecided[name] ?? 0)
    if (plan.documents_read > allowed) wasted.push(`${name}: ${needed} needed, ${JSON.stringify(plan)}`)
  }
  assert.deepEqual(wasted, [])
  for (const line of told) t.diagnostic(line)
})

test('counts, distinct values and paths are those of the documents', async () => {
  await countsAll(sortedIds().map((id) => stored.get(id)))
})

test('so all of it does after updates and deletions', async (t) => {
  const ids = [...stored.keys()]
  const removed = ids.filter((_, index) => index % 101 === 5)
  const changed = ids.filter((_, index) => index % 97 === 3).filter((id) => !removed.includes(id))
  const edits = changed.map((id, index) => edited(stored.get(id), index))
  const tombstones = removed.map((id) => ({ _id: id, _rev: stored.get(id)._rev, _deleted: true }))
  const rows = await page.evaluate((docs) => window.db.bulkDocs(docs), [...edits, ...tombstones])
  assert.ok(rows.every(({ ok }) => ok))
  for (const [index, doc] of edits.entries()) stored.set(doc._id, { ...doc, _rev: rows[index].rev })
  for (const id of removed) stored.delete(id)
  await holdsWhatIsStored()
  await answersAll(t)
  await countsAll(sortedIds().map((id) => stored.get(id)))
})

test('so they do after the page is loaded again', async (t) => {
  await page.reload()
  await loadFirkin(page)
  await openDatabase()
  await holdsWhatIsStored()
  await answersAll(t)
})

/** Holds every document of the database against what was put, and the counts as well. */
async function holdsWhatIsStored() {
  const ids = sortedIds()
  const { total_rows, rows } = await page.evaluate(() => window.db.allDocs())
  assert.equal(total_rows, ids.length)
  equalLists(
    rows.map(({ id }) => id),
    ids,
    'ids',
  )
  assert.equal((await page.evaluate(() => window.db.info())).doc_count, ids.length)
  for (let start = 0; start < ids.length; start += 1000) {
    const keys = ids.slice(start, start + 1000)
    const json = await page.evaluate(
      async ([startkey, limit]) =>
        JSON.stringify((await window.db.allDocs({ startkey, limit, include_docs: true })).rows.map(({ doc }) => doc)),
      [keys[0], keys.length],
    )
    equalDocuments(
      JSON.parse(json),
      keys.map((id) => stored.get(id)),
      'read',
    )
  }
}

/** Counts, distinct values and paths are those of the documents. */
async function countsAll(documents) {
  for (const [name, { selector }] of Object.entries(queries)) {
    const count = await page.evaluate((asked) => window.db.count(asked), selector)
    assert.equal(count, naiveFind(documents, { selector }).length, `count: ${name}`)
  }
  for (const path of ['region', chrome, 'borders', 'area', 'description', 'nowhere.at.all']) {
    const counted = await page.evaluate((asked) => window.db.distinct(asked, { counts: true }), path)
    assert.deepEqual(counted, naiveDistinct(documents, path), path)
    const values = await page.evaluate((asked) => window.db.distinct(asked), path)
    assert.deepEqual(
      values,
      counted.map(({ value }) => value),
      path,
    )
  }
  const tlds = await page.evaluate(() => window.db.distinct('tld.[]', { counts: true }))
  assert.deepEqual(tlds, naiveDistinct(documents, 'tld', true))
  const paths = await page.evaluate(() => window.db.paths())
  const expected = naivePaths(documents)
  assert.deepEqual(
    paths.map(({ path }) => path),
    [...expected.keys()].sort(compareStrings),
  )
  // Elements that begin alike for more than a key holds share their posting.
  for (const { path, types } of paths) if (!path.includes('[]')) assert.deepEqual(types, expected.get(path), path)
}

/** Asks all queries, and those that are read page by page; answers how many documents each query found. */
async function answersAll(t) {
  const documents = sortedIds().map((id) => stored.get(id))
  const times = []
  for (const [name, query] of Object.entries(queries)) {
    const { docs, ms } = await find(query)
    equalDocuments(docs, naiveFind(documents, query), name)
    times.push([ms, name, docs.length])
  }
  for (const [name, query] of Object.entries(paged)) {
    const start = performance.now()
    const found = await findPages(query, 100)
    t.diagnostic(`pages ${name}: ${found.length} documents, ${Math.round(performance.now() - start)} ms`)
    equalDocuments(found, naiveFind(documents, query), `pages ${name}`)
  }
  const ranked = times.toSorted(([left], [right]) => left - right)
  const [p50] = ranked[Math.floor(ranked.length / 2)]
  const slowest = ranked.slice(-3).map(([ms, name, count]) => `${name} (${count}) ${ms.toFixed(1)}`)
  t.diagnostic(`find: ${times.length} queries, p50 ${p50.toFixed(1)} ms; slowest: ${slowest.reverse().join(', ')}`)
  return Object.fromEntries(times.map(([_ms, name, count]) => [name, count]))
}

async function find(query) {
  const [json, ms] = await page.evaluate(async (asked) => {
    const start = performance.now()
    const { docs } = await window.db.find(asked)
    const ms = performance.now() - start
    return [JSON.stringify(docs), ms]
  }, query)
  return { docs: JSON.parse(json), ms }
}

/** All documents of a query, read in pages of `limit`, each page from the bookmark of the one before. */
async function findPages(query, limit) {
  const json = await page.evaluate(
    async ([query, limit]) => {
      const found = []
      let bookmark
      for (;;) {
        const from = bookmark === undefined ? {} : { bookmark }
        const answer = await window.db.find({ ...query, limit, ...from })
        found.push(...answer.docs)
        if (answer.docs.length < limit) return JSON.stringify(found)
        bookmark = answer.bookmark
      }
    },
    [query, limit],
  )
  return JSON.parse(json)
}

async function openDatabase() {
  await page.evaluate(async () => {
    window.db = new window.Firkin('real-input')
    await window.db.ready
  })
}

/** In the page: writes the whole collection in batches; answers the revisions in its order. */
async function importAll(batch) {
  const documents = await (await fetch('/documents.json')).json()
  const revs = []
  const start = performance.now()
  for (let from = 0; from < documents.length; from += batch) {
    const rows = await window.db.bulkDocs(documents.slice(from, from + batch))
    for (const { id, ok, rev } of rows) {
      if (!ok) throw new Error(`${id} was refused`)
      revs.push(rev)
    }
  }
  return { revs, ms: performance.now() - start }
}

/** The documents of both collections. */
function collection() {
  const browsers = Object.entries(compatibility.browsers).map(([name, browser]) => ({
    _id: `browsers.${name}`,
    ...browser,
  }))
  const { __meta, browsers: _browsers, ...areas } = compatibility
  return [...features(areas, []), ...browsers, ...countries.map((country) => ({ _id: country.cca3, ...country }))]
}

function features(tree, names) {
  return Object.entries(tree).flatMap(([name, branch]) => {
    if (name === '__compat') return [{ _id: names.join('.'), ...branch }]
    return features(branch, [...names, name])
  })
}

/** The document with members added, changed to another type, and taken away. */
function edited(doc, index) {
  const { description, borders, ...kept } = doc
  const changes = [{ area: index }, { status: null }, { [`dot.${index}`]: true, spec_url: [] }]
  return { ...kept, ...changes[index % changes.length] }
}

function sortedIds() {
  return [...stored.keys()].sort(compareStrings)
}

function equalDocuments(actual, expected, name) {
  equalLists(
    actual.map(({ _id }) => _id),
    expected.map(({ _id }) => _id),
    name,
  )
  for (const [index, doc] of actual.entries()) assert.deepEqual(doc, expected[index], name)
}

/** As deepEqual, but quick to tell where two long lists part. */
function equalLists(actual, expected, name) {
  const at = expected.findIndex((value, index) => actual[index] !== value)
  if (at !== -1) assert.deepEqual(actual.slice(at, at + 5), expected.slice(at, at + 5), `${name}: from ${at} on`)
  assert.equal(actual.length, expected.length, name)
}

function perSecond(count, ms) {
  return Math.round((count * 1000) / ms)
}
