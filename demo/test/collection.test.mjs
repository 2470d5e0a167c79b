// The collection that the app imports: the package's data unchanged, and what is derived from them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import countries from 'world-countries'
import { countryDocuments } from '../build/documents.mjs'
import { project, sheet } from '../build/outline.mjs'

const documents = countryDocuments()
const byCode = new Map(documents.map((document) => [document.cca3, document]))

test('every country of the package is there with every member as it was', () => {
  assert.equal(documents.length, countries.length)
  for (const country of countries) {
    const { _id, kind, atlas, ...own } = byCode.get(country.cca3)
    assert.deepEqual(own, country)
  }
})

test('every country has a flag and can be found by its own name and by its German one', () => {
  for (const { cca3, atlas } of documents) assert.match(atlas.flag, /^<svg .*<\/svg>$/s, cca3)
  assert.ok(byCode.get('CIV').atlas.terms.includes('ivory'))
  assert.ok(byCode.get('AUT').atlas.terms.includes('osterreich'))
  assert.equal(byCode.get('ALA').atlas.sort, 'aland islands')
})

test('the poles and the date line lie on the edges of the sheet', () => {
  const near = ([x, y], [toX, toY]) => assert.ok(Math.hypot(x - toX, y - toY) < 1, `${x}, ${y}`)
  near(project([0, 0]), [sheet.width / 2, sheet.height / 2])
  near(project([180, 0]), [sheet.width, sheet.height / 2])
  near(project([0, 90]), [sheet.width / 2, 0])
})

test('outlines keep the areas of countries in proportion, north and south', () => {
  const unit = areaOf(byCode.get('BRA').atlas.path) / byCode.get('BRA').area
  for (const code of ['FIN', 'MNG', 'COD', 'AUS', 'ARG', 'DZA']) {
    const { atlas, area } = byCode.get(code)
    const ratio = areaOf(atlas.path) / unit / area
    assert.ok(Math.abs(ratio - 1) < 0.03, `${code}: ${ratio}`)
  }
})

test('a country that the package has no outline for still has its place', () => {
  const { path, box } = byCode.get('UNK').atlas
  const { box: around } = byCode.get('SRB').atlas
  assert.equal(path, '')
  assert.ok(box.left > around.left && box.right < around.right && box.top > around.top && box.top < around.bottom + 5)
})

/** The area that a path of relative lines encloses: holes run against the outer ring and count against it. */
function areaOf(path) {
  return Math.abs(
    path
      .split('M')
      .filter(Boolean)
      .map(ringArea)
      .reduce((sum, area) => sum + area, 0),
  )
}

function ringArea(ring) {
  const numbers = ring.match(/-?\d*\.?\d+/g).map(Number)
  let [x, y] = [0, 0]
  let sum = 0
  for (let place = 2; place < numbers.length; place += 2) {
    const [nextX, nextY] = [x + numbers[place], y + numbers[place + 1]]
    sum += x * nextY - nextX * y
    ;[x, y] = [nextX, nextY]
  }
  return sum / 2
}
