// `make bench`: measures, writes the results into .cache/bench, and draws what they say.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { adapterNames } from './bundles.mjs'
import { optionsFrom } from './options.mjs'
import { agreement } from './report/agreement.mjs'
import { chart } from './report/chart.mjs'
import { publish, reasonNotToPublish } from './report/publish.mjs'
import { summarise } from './report/summary.mjs'
import { report } from './report/tables.mjs'
import { run } from './run.mjs'

const folder = fileURLToPath(new URL('../../.cache/bench', import.meta.url))

const options = await asked()
await mkdir(folder, { recursive: true })
const results = options.from ?? (await measure())
const summary = summarise(results)
const text = report(summary)
const picture = chart(summary)
await writeFile(join(folder, 'latest.md'), text)
if (picture !== undefined) await writeFile(join(folder, 'latest.svg'), picture)
console.log(`\n${text}`)
if (options.against !== undefined) {
  console.log(agreement(summary, summarise(options.against)))
}
if (options.publish) {
  const reason = reasonNotToPublish(results, await adapterNames())
  if (reason === undefined) await publish(text, picture)
  else console.error(`not published: ${reason}`)
}
const failed = results.runs.filter(({ error }) => error !== undefined)
for (const { name, docs, round, error } of failed)
  console.error(`failed: ${name}, ${docs} documents, round ${round}: ${error}`)
process.exitCode = failed.length === 0 ? 0 : 1

/** What is asked for, with the results that it names; ends the process where that makes no sense, before anything is measured. */
async function asked() {
  try {
    const options = await optionsFrom(process.env)
    return { ...options, from: await resultsIn(options.from), against: await resultsIn(options.against) }
  } catch (error) {
    console.error(`bench: ${error.message}`)
    process.exit(2)
  }
}

async function resultsIn(file) {
  if (file === undefined) return undefined
  let results
  try {
    results = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Error(`${file} cannot be read: ${error.message}`)
  }
  if (!Array.isArray(results?.runs) || results.runs.length === 0) throw new Error(`${file} holds no results of a run`)
  return results
}

async function measure() {
  const { names, docs, rounds } = options
  const measured = await run({ names, docs, rounds, folder, say: (line) => console.log(line) })
  const file = join(folder, `${measured.began.replaceAll(':', '-').slice(0, 19)}.json`)
  await writeFile(file, `${JSON.stringify(measured, null, 1)}\n`)
  console.log(`results: .cache/bench/${basename(file)}`)
  return measured
}
