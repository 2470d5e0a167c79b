// `make bench-memory`: the memory of the engine's module at DOCS small documents; fails where it is over its bar.

import { barBytes, barDocuments, measureMemory } from './memory.mjs'

const count = Number(process.env.DOCS ?? barDocuments)
if (!Number.isInteger(count) || count < 1) throw new Error(`DOCS: a whole number from 1 on, not ${process.env.DOCS}`)

const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const rows = await measureMemory(count, ({ after, bytes }) => console.log(`${mebibytes(bytes).padStart(10)}  ${after}`))
const most = Math.max(...rows.map(({ bytes }) => bytes))
console.log(`most: ${mebibytes(most)}; the bar at ${barDocuments} documents is ${mebibytes(barBytes)}`)
if (most > barBytes) process.exitCode = 1
