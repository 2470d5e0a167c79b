// The runs of each size brought together: medians and ranges by database and workload, and ratios to the first database.

import { spread } from '../statistics.mjs'
import { weights, workloads } from './catalogue.mjs'

/** `{ began, commit, machine, amount, sizes: [{ docs, rounds, databases }] }`, databases in the order in which they were measured. */
export function summarise({ began, commit, machine, amount, runs }) {
  const sizes = [...new Set(runs.map(({ docs }) => docs))].sort((left, right) => left - right)
  return {
    began,
    commit,
    machine,
    amount,
    sizes: sizes.map((docs) =>
      sizeOf(
        docs,
        runs.filter((run) => run.docs === docs),
      ),
    ),
  }
}

function sizeOf(docs, runs) {
  const names = [...new Set(runs.filter(({ round }) => round === 1).map(({ name }) => name))]
  const databases = names.map((name) =>
    databaseOf(
      name,
      runs.filter((run) => run.name === name && !run.error),
    ),
  )
  const measured = databases.filter(({ runs: count }) => count > 0)
  const [base] = measured
  for (const database of measured) {
    for (const [name, figure] of Object.entries(database.workloads)) {
      const other = base.workloads[name]
      if (other === undefined) continue
      figure.ratio = figure.wall.median / other.wall.median
      figure.cpuRatio = figure.cpu.total_ms / other.cpu.total_ms
    }
    for (const [name, figure] of Object.entries(database.weights)) {
      if (base.weights[name] !== undefined) figure.ratio = figure.median / base.weights[name].median
    }
  }
  const rounds = Math.max(...runs.map(({ round }) => round))
  return { docs, rounds, databases: measured, failed: runs.filter(({ error }) => error !== undefined) }
}

function databaseOf(name, runs) {
  const { about, versions } = runs[0] ?? {}
  const figures = workloads.flatMap((workload) => {
    const found = runs.map((run) => run.workloads[workload.name]).filter((one) => one !== undefined)
    return found.length === 0 ? [] : [[workload.name, figureOf(workload, found)]]
  })
  const weighed = weights.flatMap(({ name: weight, of }) => {
    const bytes = spread(runs.map(of))
    return bytes === undefined ? [] : [[weight, bytes]]
  })
  const calibrations = runs.flatMap((run) => run.calibrations)
  return {
    name,
    about,
    versions,
    runs: runs.length,
    workloads: Object.fromEntries(figures),
    weights: Object.fromEntries(weighed),
    split: splitOf(runs),
    cold: partsOf(runs.map(({ cold }) => cold).filter((one) => one !== undefined)),
    calibration: {
      cpu: spread(calibrations.map(({ cpu_ms }) => cpu_ms)),
      storage: spread(calibrations.map(({ storage_ms }) => storage_ms)),
    },
    load: spread(runs.flatMap(({ load }) => load)),
  }
}

function figureOf({ each }, found) {
  const per = (ms, { count }) => (each ? ms / count : ms)
  return {
    wall: spread(found.map((one) => per(one.wall_ms, one))),
    cpu: partsOf(found.map(({ cpu, ...one }) => mapped(cpu, (ms) => per(ms, one)))),
  }
}

/** Of one call: its time, and the engine's share of that. */
function splitOf(runs) {
  const split = runs.map((run) => run.split).filter((one) => one !== undefined)
  if (split.length === 0) return undefined
  return mapped(split[0], (_, name) =>
    partsOf(
      split
        .map((one) => mapped(one[name], (value) => value / one[name].count))
        .map(({ wall_ms, engine_ms }) => ({ wall_ms, engine_ms })),
    ),
  )
}

/** The median of each member. */
function partsOf(list) {
  return list.length === 0 ? undefined : mapped(list[0], (_, name) => spread(list.map((one) => one[name])).median)
}

const mapped = (object, map) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value, name)]))
