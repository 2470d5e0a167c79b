// The documents that are measured: made from their number, so that the page and the runner make the same ones.
//
// About 800 bytes of JSON and 22 paths each. Of the documents 1% have any one `shelf` (100 of 10,000), 0.1% any one
// `supplier.code`; a `score` hardly ever comes twice.

export const shelves = 100
export const suppliers = 1000
export const scoreBound = 10_000_000
/** No document is made with a smaller score: room for what is moved to the front of an order. */
export const scoreFloor = 1000

const words =
  'amber basin cedar delta ember fjord grove harbor island juniper kettle lantern meadow nickel orchard pebble quarry river saddle timber umber valley willow yarrow zephyr'.split(
    ' ',
  )
const cities =
  'Lisbon Porto Ghent Bruges Lyon Nantes Turin Genoa Bergen Malmo Gdansk Krakow Graz Basel Cork Leeds'.split(' ')
const states = ['draft', 'listed', 'reserved', 'sold', 'returned']

/** A source of whole numbers below a bound, the same for the same seed (mulberry32). */
export function numbersFrom(seed) {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

export const idOf = (number) => `item:${String(number).padStart(8, '0')}`
export const shelfOf = (number) => `shelf-${String(number).padStart(3, '0')}`
export const supplierOf = (number) => `S${String(number).padStart(4, '0')}`

/** The document of this number. */
export function documentOf(number) {
  const next = numbersFrom(Math.imul(number + 1, 2654435761))
  const word = () => words[next(words.length)]
  const text = (length) => Array.from({ length }, word).join(' ')
  const day = (month) => `2026-${String(month).padStart(2, '0')}-${String(1 + next(28)).padStart(2, '0')}T08:30:00.000Z`
  return {
    _id: idOf(number),
    type: 'item',
    title: text(4),
    state: states[next(states.length)],
    shelf: shelfOf(next(shelves)),
    score: scoreFloor + next(scoreBound - scoreFloor),
    stock: next(500),
    price: next(100_000) / 100,
    listed: next(2) === 1,
    created: day(1 + next(6)),
    updated: day(7 + next(6)),
    author: { name: text(2), email: `${word()}.${word()}@example.org`, city: cities[next(cities.length)] },
    supplier: { code: supplierOf(next(suppliers)), country: ['PT', 'BE', 'FR', 'IT', 'NO', 'PL'][next(6)] },
    size: { width: next(200), height: next(200), depth: next(200) },
    tags: [word(), word(), word()],
    note: null,
    description: text(48),
  }
}

/** The documents of the numbers from `start` up to `end`. */
export const documentsOf = (start, end) => Array.from({ length: end - start }, (_, index) => documentOf(start + index))

/** A document's own members as text, whatever order a database hands them in, and without what a database adds. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical)}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const names = Object.keys(value)
    .filter((name) => value[name] !== undefined && (name === '_id' || !name.startsWith('_')))
    .sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)}}`
}

/** What an answer comes to: of each document its id and a hash of its text (FNV-1a, 53 bits of two). */
export const digest = (docs) => docs.map((doc) => `${doc._id} ${hash(canonical(doc))}`)

function hash(text) {
  let low = 0x811c9dc5
  let high = 0x050c5d1f
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    low = Math.imul(low ^ unit, 0x01000193)
    high = Math.imul(high ^ unit, 0x01000197)
  }
  return ((high >>> 0) & 0x1fffff) * 2 ** 32 + (low >>> 0)
}
