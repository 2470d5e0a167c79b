// The report in markdown: what `docs/performance.md` holds of a run.

import { weights, workloads } from './catalogue.mjs'
import { bytes, milliseconds, range, ratio, table } from './format.mjs'
import { growth } from './growth.mjs'

/** The whole report of a run. */
export function report(summary) {
  const parts = [heading(summary)]
  for (const size of summary.sizes) parts.push(ofSize(size, summary))
  if (summary.sizes.length > 1) parts.push(growth(summary))
  const largest = summary.sizes.at(-1)
  parts.push(takingPart(largest))
  return `${parts.join('\n\n')}\n`
}

function heading({ began, commit, machine, sizes }) {
  const { processor, cores, memory_bytes, system, browser, node } = machine
  const memory = Math.round(memory_bytes / 1024 ** 3)
  const rounds = Math.max(...sizes.map((size) => size.rounds))
  const much = rounds === 1 ? 'One round.' : `Medians of ${rounds} rounds.`
  const where = `${system}, ${cores} cores (${processor}), ${memory} GiB of memory`
  const what = commit === undefined ? '' : ` at ${commit}`
  return `Measured ${began.slice(0, 10)}${what} with ${browser} (headless) and Node ${node}, on ${where}. ${much}`
}

function ofSize(size, summary) {
  const { docs, databases, failed } = size
  const [base] = databases
  const titles = databases.map(({ about }) => about.title)
  const rows = workloads.filter(({ name }) => databases.some((database) => database.workloads[name] !== undefined))
  const named = (row) => row.title(docs, summary.amount)
  const cells = (cell) => rows.map((row) => [named(row), ...databases.map((one) => cell(one.workloads[row.name], one))])
  const cpuRows = rows.filter(({ cpu }) => cpu !== false)
  const cpuNamed = (row) => row.cpu ?? named(row)
  const sections = [
    `## ${docs.toLocaleString('en')} documents`,
    `Milliseconds, and how many times ${base.about.title}'s.`,
    table(
      ['', ...titles],
      cells((figure, one) => withRatio(figure?.wall, figure?.ratio, one === base, milliseconds)),
    ),
    'What it takes to hold and to load.',
    weightTable(databases, base, titles),
    'The lowest and the highest of the rounds, in milliseconds.',
    table(
      ['', ...titles],
      cells((figure) => range(figure?.wall)),
    ),
    `CPU time of all of the browser's processes in milliseconds, and how many times ${base.about.title}'s.`,
    table(
      ['', ...titles],
      cpuRows.map((row) => [
        cpuNamed(row),
        ...databases.map((one) => {
          const figure = one.workloads[row.name]
          return withRatio(cpuOf(figure), figure?.cpuRatio, one === base, milliseconds)
        }),
      ]),
    ),
    ...cpuSplit(cpuRows, base, cpuNamed),
    ...callSplit(databases),
    'Beside each run: a fixed loop of arithmetic, a fixed piece of work for IndexedDB, and the load of the machine. Where these differ, so do the figures above.',
    calibrationTable(databases),
  ]
  if (failed.length > 0) {
    sections.push(
      `Failed: ${failed.map(({ name, round, error }) => `${name} in round ${round} (${error})`).join('; ')}.`,
    )
  }
  return sections.join('\n\n')
}

const cpuOf = (figure) => figure && { median: figure.cpu.total_ms }

function withRatio(spread, times, isBase, format) {
  if (spread === undefined) return '–'
  const text = format(spread.median)
  return isBase || times === undefined ? text : `${text} · ${ratio(times)}`
}

function weightTable(databases, base, titles) {
  const rows = weights.map(({ name, title }) => [
    title,
    ...databases.map((one) => withRatio(one.weights[name], one.weights[name]?.ratio, one === base, bytes)),
  ])
  return table(['', ...titles], rows)
}

function cpuSplit(rows, base, named) {
  const parts = ['page_ms', 'workers_ms', 'helpers_ms', 'browser_ms']
  const split = rows
    .filter(({ name }) => base.workloads[name] !== undefined)
    .map((row) => [named(row), ...parts.map((part) => milliseconds(base.workloads[row.name].cpu[part]))])
  return [
    `Where the CPU time of ${base.about.title} goes: the page's main thread, its workers, the rest of the page's process (collection of garbage, compilation), the browser's other processes (IndexedDB, files).`,
    table(['', 'page', 'workers', 'rest of its process', 'browser'], split),
  ]
}

function callSplit(databases) {
  const titles = {
    get: 'one get',
    findEqual: 'equality',
    findRange: 'range, sorted, first 20',
    update: 'one update, relaxed',
  }
  const rows = databases.flatMap(({ about, split }) =>
    Object.entries(split ?? {}).map(([name, { wall_ms, engine_ms }]) => [
      about.title,
      titles[name],
      milliseconds(wall_ms),
      milliseconds(engine_ms),
      milliseconds(wall_ms - engine_ms),
    ]),
  )
  if (rows.length === 0) return []
  return [
    "What of a call is spent within the worker, from the arrival of its message to that of the answer's leaving, and what on the page and on the way, in milliseconds.",
    table(['', '', 'call', 'worker', 'page and way'], rows, 2),
  ]
}

function calibrationTable(databases) {
  const rows = databases.map(({ about, calibration: { cpu, storage }, load }) => [
    about.title,
    `${milliseconds(cpu.median)} (${range(cpu)})`,
    `${milliseconds(storage.median)} (${range(storage)})`,
    range(load, (value) => value.toFixed(1)),
  ])
  return table(['', 'arithmetic, ms', 'IndexedDB, ms', 'load'], rows)
}

function takingPart({ databases }) {
  const rows = databases.map(({ about, versions }) => [
    about.title,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ') || '–',
    about.relaxed,
    about.strict ?? '–',
    about.notes,
  ])
  return `## Who takes part\n\n${table(['', 'version', 'relaxed', 'strict', 'how'], rows, 5)}`
}
