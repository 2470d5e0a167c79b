// Puts a run's report into docs/: the tables between two marks of performance.md, whose words around them are written by
// hand, and the chart.

import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const page = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url))
const picture = fileURLToPath(new URL('../../../docs/performance.svg', import.meta.url))
const [begin, end] = ['<!-- figures: written by `make bench PUBLISH=1` -->', '<!-- end of figures -->']

/** The rounds that a published run has at least: a median of fewer says little. */
const ROUNDS_MIN = 3

/** Why the results do not go into docs/; `undefined` if they may. `known` are all databases that there are. */
export function reasonNotToPublish({ runs }, known) {
  const failed = runs.find(({ error }) => error !== undefined)
  if (failed !== undefined) return `${failed.name} failed`
  const sizes = [...new Set(runs.map(({ docs }) => docs))]
  if (!sizes.includes(10_000)) return 'there is no run of 10,000 documents'
  for (const docs of sizes) {
    for (const name of known) {
      const rounds = runs.filter((run) => run.docs === docs && run.name === name).length
      if (rounds < ROUNDS_MIN) return `${name} has ${rounds} of ${ROUNDS_MIN} rounds at ${docs} documents`
    }
  }
  return undefined
}

export async function publish(report, chart) {
  await writeFile(page, between(await readFile(page, 'utf8'), report))
  if (chart !== undefined) await writeFile(picture, chart)
}

/** The page with what stands between its marks replaced. */
export function between(text, report) {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page has no place for figures between ${begin} and ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${report.trim()}\n\n${text.slice(to)}`
}
