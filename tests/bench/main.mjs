// `make bench`: measures, writes the results into .cache/bench, and draws what they say.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { optionsFrom } from './options.mjs'
import { agreement } from './report/agreement.mjs'
import { chart } from './report/chart.mjs'
import { publish } from './report/publish.mjs'
import { summarise } from './report/summary.mjs'
import { report } from './report/tables.mjs'
import { run } from './run.mjs'

const folder = fileURLToPath(new URL('../../.cache/bench', import.meta.url))

const options = await optionsFrom(process.env)
await mkdir(folder, { recursive: true })
const results = options.from === undefined ? await measure() : JSON.parse(await readFile(options.from, 'utf8'))
const summary = summarise(results)
const text = report(summary)
const picture = chart(summary)
await writeFile(join(folder, 'latest.md'), text)
if (picture !== undefined) await writeFile(join(folder, 'latest.svg'), picture)
console.log(`\n${text}`)
if (options.against !== undefined) {
  console.log(agreement(summary, summarise(JSON.parse(await readFile(options.against, 'utf8')))))
}
if (options.publish) await publish(text, picture)
const failed = results.runs.filter(({ error }) => error !== undefined)
for (const { name, docs, round, error } of failed)
  console.error(`failed: ${name}, ${docs} documents, round ${round}: ${error}`)
process.exitCode = failed.length === 0 ? 0 : 1

async function measure() {
  const { names, docs, rounds } = options
  const measured = await run({ names, docs, rounds, folder, say: (line) => console.log(line) })
  const file = join(folder, `${measured.began.replaceAll(':', '-').slice(0, 19)}.json`)
  await writeFile(file, `${JSON.stringify(measured, null, 1)}\n`)
  console.log(`results: .cache/bench/${basename(file)}`)
  return measured
}
