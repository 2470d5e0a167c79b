// Every adapter does all that the bench asks, and answers rightly: a little of everything, with no word on how long it took.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { paces } from '../browser.mjs'
import { adapterNames } from '../bundles.mjs'
import { amounts } from '../plan.mjs'
import { summarise } from '../report/summary.mjs'
import { report } from '../report/tables.mjs'
import { run } from '../run.mjs'

const folder = await mkdtemp(join(tmpdir(), 'firkin-bench-'))
after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

const names = await adapterNames()
const results = await run({
  names,
  docs: [200],
  rounds: 1,
  folder,
  amount: amounts.small,
  pace: paces.hurried,
  say: () => {},
})

for (const { name, error, workloads, shipped } of results.runs) {
  test(`${name} does all that it says, and each answer is right`, () => {
    assert.equal(error, undefined)
    assert.equal(workloads.bulk.count, 200)
    assert.ok(workloads.coldGet !== undefined && shipped.gzip_bytes > 0)
  })
}

test('the run can be told as a report', () => {
  const text = report(summarise(results))
  for (const { about } of results.runs) assert.match(text, new RegExp(`\\| ${about.title} \\|`))
  assert.doesNotMatch(text, /undefined|NaN/)
})
