// Whether two runs agree: the ratios of one beside those of the other, with the calibration that explains where they do not.
//
// Both kinds of ratio are compared. Those of wall time suffer when the machine does something else meanwhile; those of CPU
// time hardly do.

import { workloads } from './catalogue.mjs'
import { milliseconds, ratio, table } from './format.mjs'

/** Ratios that differ by more are listed. */
const tolerance = 0.2
const kinds = { wall: ({ ratio }) => ratio, cpu: ({ cpuRatio }) => cpuRatio }

export function agreement(here, there) {
  const pairs = here.sizes.flatMap((size) => {
    const other = there.sizes.find(({ docs }) => docs === size.docs)
    return other === undefined ? [] : pairsOf(size, other, here.amount)
  })
  const verdicts = Object.entries(kinds).map(([kind, of]) => {
    const compared = pairs.filter(({ kinds }) => kinds.includes(kind))
    const agreeing = compared.filter((pair) => agrees(of(pair.now), of(pair.then))).length
    return `${agreeing} of ${compared.length} ratios of ${kind === 'wall' ? 'wall' : 'CPU'} time`
  })
  const verdict = `Within ${tolerance * 100}% of the other run are ${verdicts.join(' and ')}.`
  const rows = pairs
    .filter((pair) => !pair.kinds.every((kind) => agrees(kinds[kind](pair.now), kinds[kind](pair.then))))
    .map(rowOf)
  if (rows.length === 0) return verdict
  const head = ['', '', 'wall there', 'here', 'CPU there', 'here', 'calibration there', 'here']
  const bases = here.sizes.map(({ docs, databases: [base] }) => {
    const other = there.sizes.find((size) => size.docs === docs)?.databases[0]
    return `At ${docs.toLocaleString('en')} documents the calibration of ${base.about.title} was ${calibrationOf(other)} there, ${calibrationOf(base)} here.`
  })
  return [verdict, table(head, rows, 2), 'Calibration: arithmetic / IndexedDB, ms.', ...bases].join('\n\n')
}

function pairsOf(size, other, amount) {
  return size.databases.slice(1).flatMap((database) => {
    const before = other.databases.find(({ name }) => name === database.name)
    return workloads.flatMap(({ name, title, cpu }) => {
      const [now, then] = [database.workloads[name], before?.workloads[name]]
      if (now?.ratio === undefined || then?.ratio === undefined) return []
      const compared = cpu === false ? ['wall'] : ['wall', 'cpu']
      return [{ database, before, now, then, kinds: compared, title: title(size.docs, amount) }]
    })
  })
}

const agrees = (now, then) => Math.max(now / then, then / now) <= 1 + tolerance

function rowOf({ database, before, now, then, title }) {
  const ratios = Object.values(kinds).flatMap((of) => [ratio(of(then)), ratio(of(now))])
  return [database.about.title, title, ...ratios, calibrationOf(before), calibrationOf(database)]
}

function calibrationOf(database) {
  if (database === undefined) return '–'
  const { cpu, storage } = database.calibration
  return `${milliseconds(cpu.median)} / ${milliseconds(storage.median)}`
}
