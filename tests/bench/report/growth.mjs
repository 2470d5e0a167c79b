// How costs grow from the smallest number of documents to the largest.

import { workloads } from './catalogue.mjs'
import { milliseconds, ratio, table } from './format.mjs'

export function growth({ sizes, amount }) {
  const [smallest, largest] = [sizes[0], sizes.at(-1)]
  const factor = Math.round(largest.docs / smallest.docs).toLocaleString('en')
  const head = ['', '', ...sizes.map(({ docs }) => docs.toLocaleString('en')), 'grows']
  const rows = workloads.flatMap((workload) =>
    smallest.databases.flatMap(({ name, about }) => {
      const found = sizes.map(
        ({ databases }) => databases.find((one) => one.name === name)?.workloads[workload.name]?.wall.median,
      )
      if (found.every((value) => value === undefined)) return []
      const grows = found[0] === undefined || found.at(-1) === undefined ? '–' : ratio(found.at(-1) / found[0])
      return [[titleOf(workload, amount), about.title, ...found.map(milliseconds), grows]]
    }),
  )
  return `## Growth\n\nMilliseconds by the number of documents; \`grows\` is how much more is paid for ${factor} times the documents.\n\n${table(head, rows, 2)}`
}

/** The title without what belongs to one size. */
const titleOf = ({ chart, title }, amount) => chart?.toLowerCase() ?? title(0, amount)
