// Whether two runs agree: the ratios of one beside those of the other, with the calibration that explains where they do not.

import { workloads } from './catalogue.mjs'
import { milliseconds, ratio, table } from './format.mjs'

/** Ratios that differ by more are listed. */
const tolerance = 0.2

export function agreement(here, there) {
  const rows = []
  let compared = 0
  for (const size of here.sizes) {
    const other = there.sizes.find(({ docs }) => docs === size.docs)
    for (const database of size.databases.slice(1)) {
      const before = other?.databases.find(({ name }) => name === database.name)
      for (const { name, title } of workloads) {
        const [now, then] = [database, before].map((one) => one?.workloads[name]?.ratio)
        if (now === undefined || then === undefined) continue
        compared += 1
        if (Math.max(now / then, then / now) <= 1 + tolerance) continue
        const calibrations = [database, before].map(
          ({ calibration: { cpu, storage } }) => `${milliseconds(cpu.median)} / ${milliseconds(storage.median)}`,
        )
        rows.push([
          database.about.title,
          title(size.docs, here.amount),
          ratio(then),
          ratio(now),
          ...calibrations.reverse(),
        ])
      }
    }
  }
  const verdict = `Of ${compared} ratios ${compared - rows.length} agree with those of the other run within ${tolerance * 100}%.`
  if (rows.length === 0) return verdict
  const head = ['', '', 'there', 'here', 'calibration there (arithmetic / IndexedDB, ms)', 'calibration here']
  return `${verdict}\n\n${table(head, rows, 2)}`
}
