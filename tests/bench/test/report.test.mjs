// What the reports draw from results that are made up here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agreement } from '../report/agreement.mjs'
import { chart } from '../report/chart.mjs'
import { between, reasonNotToPublish } from '../report/publish.mjs'
import { summarise } from '../report/summary.mjs'
import { report } from '../report/tables.mjs'

const cpu = { total_ms: 20, page_ms: 5, workers_ms: 10, helpers_ms: 3, browser_ms: 2 }

function runOf(name, round, factor, { docs = 1000, ...more } = {}) {
  const workload = (wall_ms, count) => ({ wall_ms: wall_ms * factor, count, cpu })
  return {
    docs,
    round,
    name,
    about: { title: name.toUpperCase(), relaxed: 'IndexedDB, relaxed', notes: 'as it comes' },
    versions: { [name]: '1.0.0' },
    workloads: { bulk: workload(100 + round, docs), get: workload(2000, 1000), findEqual: workload(30, 10) },
    calibrations: [{ cpu_ms: 100, storage_ms: 50 + round }],
    disk_bytes: 2 ** 20 * factor,
    shipped: { gzip_bytes: 1024 },
    load: [0.5, 1],
    ...more,
  }
}

function resultsOf(runs) {
  const machine = {
    processor: 'a processor',
    cores: 2,
    memory_bytes: 2 ** 34,
    system: 'Linux',
    node: '20',
    browser: 'Chromium',
  }
  return { began: '2026-11-28T10:00:00.000Z', machine, amount: { catchUp: 100 }, runs }
}

const rounds = [1, 2, 3]
const two = () => resultsOf(rounds.flatMap((round) => [runOf('firkin', round, 1), runOf('other', round, round)]))

test('a figure is the median of the rounds, of one call where there are many, and its ratio is to the first database', () => {
  const [{ databases }] = summarise(two()).sizes
  const [firkin, other] = databases
  assert.deepEqual(firkin.workloads.bulk.wall, { median: 102, low: 101, high: 103 })
  assert.deepEqual(other.workloads.get.wall, { median: 4, low: 2, high: 6 })
  assert.equal(other.workloads.get.ratio, 2)
  assert.equal(firkin.workloads.get.cpu.total_ms, 0.02)
  assert.equal(other.weights.disk.ratio, 2)
})

test('a run that failed is named, and takes no part in the figures', () => {
  const results = two()
  results.runs.push(runOf('other', 4, 1000, { error: 'not done within 60 s' }))
  const summary = summarise(results)
  assert.equal(summary.sizes[0].databases[1].workloads.get.ratio, 2)
  assert.match(report(summary), /Failed: other in round 4 \(not done within 60 s\)\./)
})

test('the report has a column for each database, a dash for what it cannot do, and who took part', () => {
  const results = two()
  for (const run of results.runs.filter(({ name }) => name === 'other')) delete run.workloads.findEqual
  const text = report(summarise(results))
  assert.match(text, /\| {2}\| FIRKIN \| OTHER \|/)
  assert.match(text, /\| one get \| 2\.00 \| 4\.00 · 2\.0× \|/)
  assert.match(text, /\| equality, ~10 hits \| 3\.00 \| – \|/)
  assert.match(text, /\| OTHER \| other 1\.0\.0 \| IndexedDB, relaxed \| – \| as it comes \|/)
  assert.doesNotMatch(text, /undefined|NaN/)
})

test('with more than one size the report tells how costs grow', () => {
  const runs = [1000, 10_000].flatMap((docs) => [
    runOf('firkin', 1, docs / 1000, { docs }),
    runOf('other', 1, 1, { docs }),
  ])
  const text = report(summarise(resultsOf(runs)))
  assert.match(text, /## Growth/)
  assert.match(text, /\| one get \| FIRKIN \| 2\.00 \| 20\.0 \| 10× \|/)
})

test('two runs agree where their ratios are near, and where not both calibrations are shown', () => {
  const [here, there] = [summarise(two()), summarise(two())]
  assert.equal(
    agreement(here, there),
    'Within 20% of the other run are 3 of 3 ratios of wall time and 3 of 3 ratios of CPU time.',
  )
  there.sizes[0].databases[1].workloads.get.ratio = 3
  const text = agreement(here, there)
  assert.match(text, /2 of 3 ratios of wall time and 3 of 3/)
  assert.match(text, /\| OTHER \| one get \| 3\.0× \| 2\.0× \| 1\.0× \| 1\.0× \| 100 \/ 52\.0 \| 100 \/ 52\.0 \|/)
  assert.match(text, /the calibration of FIRKIN was 100 \/ 52\.0 there/)
})

test('the chart has a row for each workload and a mark for each other database, and brings its colours for the dark', () => {
  const svg = chart(summarise(two()))
  assert.equal(svg.match(/class="name"/g).length, 3)
  assert.equal(svg.match(/class="s0"/g).length, 4)
  assert.match(svg, /prefers-color-scheme: dark/)
  assert.doesNotMatch(svg, /NaN|undefined/)
  assert.equal(chart(summarise(resultsOf([runOf('firkin', 1, 1)]))), undefined)
})

test('figures are put between the marks of the page, and its own words are kept', () => {
  const page = 'Words.\n<!-- figures: written by `make bench PUBLISH=1` -->\nold\n<!-- end of figures -->\nMore.'
  const text = between(page, 'new\n')
  assert.match(text, /^Words\.\n<!-- figures.*-->\n\nnew\n\n<!-- end of figures -->\nMore\.$/)
  assert.throws(() => between('no marks', 'new'), /no place/)
})

test('a run is published only if it is whole: every database, three rounds, 10,000 documents, no failure', () => {
  const whole = ['a', 'b'].flatMap((name) => [1, 2, 3].map((round) => ({ docs: 10_000, round, name })))
  const reason = (runs) => reasonNotToPublish({ runs }, ['a', 'b'])
  assert.equal(reason(whole), undefined)
  assert.match(reason(whole.slice(1)), /a has 2 of 3 rounds/)
  assert.match(reason(whole.filter(({ name }) => name === 'a')), /b has 0 of 3 rounds/)
  assert.match(reason([...whole.slice(1), { ...whole[0], error: 'broken' }]), /a failed/)
  assert.match(reason(whole.map((run) => ({ ...run, docs: 1000 }))), /no run of 10,000/)
})
