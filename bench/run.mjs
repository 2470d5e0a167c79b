// Times the cases of the engine as a WebAssembly module, and prints them beside what `cargo bench` measured natively.
//
//     node bench/run.mjs MODULE CRITERION_FOLDER [FILTER]
//
// Times are those of the processor, since the time on the wall doubles whenever the machine has something else to do. They are
// medians of samples, ranges are the fastest and the slowest sample. The last results stay in a file beside criterion's, and are
// what the columns "change" compare with.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'

const WARM_UP_MS = 300
const SAMPLES = 10
const SAMPLE_MS = 50

const [modulePath, nativeFolder, filter = ''] = process.argv.slice(2)
const { instance } = await WebAssembly.instantiate(readFileSync(modulePath), {})
const engine = instance.exports
const chosen = listCases().filter(({ id }) => new RegExp(filter).test(id))
if (chosen.length === 0) throw new Error(`no case is named like ${filter}`)

const resultsPath = join(nativeFolder, 'engine.json')
const before = existsSync(resultsPath) ? JSON.parse(readFileSync(resultsPath, 'utf8')) : {}
const results = {}
for (const { id, place } of chosen) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kwasm: ${id}`)
  results[id] = { native: nativeSamples(id), wasm: wasmSamples(id, place) }
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
printTable()
printSteps()
mkdirSync(nativeFolder, { recursive: true })
writeFileSync(resultsPath, JSON.stringify({ ...before, ...results }, undefined, 1))

function listCases() {
  const start = engine.list()
  const text = new TextDecoder().decode(new Uint8Array(engine.memory.buffer, start, engine.list_bytes()))
  return text
    .trimEnd()
    .split('\n')
    .map((line, place) => {
      const [id, what] = line.split('\t')
      return { id, what, place }
    })
}

// What an iteration took in each sample, in milliseconds, ascending.
function wasmSamples(id, place) {
  if (!engine.set_up(place)) throw new Error(`${id} does not answer what it should`)
  // Each iteration is timed alone where something must be prepared for it.
  const time = engine.has_input() ? timeOneByOne : timeInARow
  let iterations = 1
  let last = 0
  for (const end = cpuTime() + WARM_UP_MS; cpuTime() < end; ) {
    last = time(iterations)
    if (last < SAMPLE_MS / 4) iterations *= 2
  }
  iterations = Math.max(1, Math.round((iterations * SAMPLE_MS) / last))
  return Array.from({ length: SAMPLES }, () => time(iterations) / iterations).sort((left, right) => left - right)
}

// Of all threads: the collector of garbage and the compiler have hardly anything to do once a case is warm.
function cpuTime() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function timeOneByOne(iterations) {
  let sum = 0
  for (let done = 0; done < iterations; done++) {
    engine.prepare()
    const start = cpuTime()
    engine.run(1)
    sum += cpuTime() - start
  }
  return sum
}

function timeInARow(iterations) {
  const start = cpuTime()
  engine.run(iterations)
  return cpuTime() - start
}

// Criterion's samples in the same form; it measures nanoseconds.
function nativeSamples(id) {
  const path = join(nativeFolder, id, 'new', 'sample.json')
  if (!existsSync(path)) return undefined
  const { iters, times } = JSON.parse(readFileSync(path, 'utf8'))
  return times.map((time, sample) => time / iters[sample] / 1e6).sort((left, right) => left - right)
}

function printTable() {
  const rows = chosen.map(({ id, what }) => {
    const { native, wasm } = results[id]
    const ratio = native ? `${(median(wasm) / median(native)).toFixed(1)}x` : ''
    return [id, ...columns(native, before[id]?.native), ...columns(wasm, before[id]?.wasm), ratio, what]
  })
  const sides = ['native', 'range', 'change', 'wasm', 'range', 'change', 'wasm/native']
  printRows([['case', ...sides, 'what one iteration does'], ...rows], new Set([0, 8]))
  const load = loadavg()[0].toFixed(1)
  console.log(`\n${cpus()[0].model}, ${cpus().length} cores, load ${load}, Node ${process.version}`)
}

function columns(samples, samplesBefore) {
  if (!samples) return ['', '', '']
  const change = samplesBefore && (100 * median(samples)) / median(samplesBefore) - 100
  const range = `${duration(samples[0])} - ${duration(samples.at(-1))}`
  return [duration(median(samples)), range, change === undefined ? '' : `${change < 0 ? '' : '+'}${change.toFixed(0)}%`]
}

// The steps of a bulk write, and what share of the whole each is.
function printSteps() {
  const { 'bulk/whole': whole, ...others } = results
  const steps = Object.entries(others).filter(([id]) => id.startsWith('bulk/'))
  if (!whole || steps.length === 0) return
  const sides = ['native', 'wasm'].filter((side) => whole[side])
  const rest = (side) => steps.reduce((left, [, step]) => left - median(step[side]), median(whole[side]))
  const row = (name, time) => [name, ...sides.flatMap((side) => [duration(time(side)), share(time(side), whole[side])])]
  console.log('\nWhere a bulk write of all documents spends its time, each step by itself')
  printRows(
    [
      ['step', ...sides.flatMap((side) => [side, 'share'])],
      ...steps.map(([id, step]) => row(id, (side) => median(step[side]))),
      row('the rest', rest),
      row('bulk/whole', (side) => median(whole[side])),
    ],
    new Set([0]),
  )
}

function share(time, whole) {
  return `${((100 * time) / median(whole)).toFixed(0)}%`
}

function median(sorted) {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

function duration(ms) {
  const [value, unit] = ms >= 1 ? [ms, 'ms'] : ms >= 1e-3 ? [ms * 1e3, 'µs'] : [ms * 1e6, 'ns']
  return `${value.toPrecision(3).includes('e') ? value.toFixed(0) : value.toPrecision(3)} ${unit}`
}

function printRows(rows, leftAligned) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      leftAligned.has(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    )
    console.log(cells.join('  ').trimEnd())
  }
}
