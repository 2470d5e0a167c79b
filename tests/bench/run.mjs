// A whole run: round by round each database in turn, so that what the machine does meanwhile falls on all of them.

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { paces } from './browser.mjs'
import { bundle, gzipBytes } from './bundles.mjs'
import { commit, machine, versions } from './machine.mjs'
import { Measurement } from './measure.mjs'
import { amounts, planOf } from './plan.mjs'
import { startServer } from './server.mjs'
import { serveBench } from './site.mjs'

/**
 * Measures `names` at each of `docs`, `rounds` times, within `folder`. A database that fails (or is over a time bound) is a
 * failed run in the results, and the others go on. `say(text)` is told what happens.
 */
export async function run({ names, docs, rounds, folder, amount = amounts.full, pace = paces.measured, say }) {
  const [bundles, profiles] = [join(folder, 'bundles'), join(folder, 'profiles')]
  await mkdir(profiles, { recursive: true })
  for (const name of names) await bundle(name, bundles)
  const results = { began: new Date().toISOString(), commit: commit(), machine: machine(), amount, runs: [] }
  const site = await serveBench(bundles)
  const server = await startServer(folder, site.origin)
  const cleanUp = async () => {
    await server.stop()
    await site.stop()
    await rm(profiles, { recursive: true, force: true })
  }
  // The browser's own handling of a signal would end this process with the server still there.
  const interrupted = () => void cleanUp().finally(() => process.exit(130))
  for (const signal of ['SIGINT', 'SIGTERM']) process.prependOnceListener(signal, interrupted)
  try {
    for (const size of docs) {
      const plan = planOf(size, amount)
      for (let round = 1; round <= rounds; round += 1) {
        for (const name of rotated(names, round - 1)) {
          const head = `${size.toLocaleString('en')} documents, round ${round} of ${rounds}, ${name}`
          const around = { site, server, profiles, plan, pace, docs: size, progress: (text) => say(`${head}: ${text}`) }
          results.runs.push({ docs: size, round, name, ...(await measured(name, around, bundles)) })
          const { error } = results.runs.at(-1)
          if (error !== undefined) say(`${head}: FAILED: ${error}`)
          await writeFile(join(folder, 'latest.json'), JSON.stringify(results))
        }
      }
    }
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, interrupted)
    await cleanUp()
  }
  return results
}

async function measured(name, around, bundles) {
  const measurement = new Measurement(name, around)
  const load = [loadavg()[0]]
  let failure = {}
  try {
    await measurement.run()
  } catch (error) {
    failure = { error: error.message }
  }
  load.push(loadavg()[0])
  const { about, loaded = [], ...figures } = measurement
  const shipped = { files: loaded, gzip_bytes: await gzipBytes(bundles, loaded) }
  return { ...figures, about, shipped, versions: versions(about?.packages ?? []), load, ...failure }
}

/** Another one begins each round: the first may find the machine otherwise than the last. */
const rotated = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)]
