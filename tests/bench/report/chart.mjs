// The chart of a run: of each workload, how many times Firkin's time the others take, on a logarithmic scale.
//
// It stands in the README as an image, so it brings its own colours for light and dark, and is narrow, so that its words
// can be read on a phone. A database has a colour, a shape and a height within its row.

import { workloads } from './catalogue.mjs'
import { milliseconds } from './format.mjs'

const width = 560
const left = 24
const right = width - 24
const rowHeight = 68
const shapes = [
  (x, y) => `<circle cx="${x}" cy="${y}" r="5.5"/>`,
  (x, y) => `<rect x="${x - 5}" y="${y - 5}" width="10" height="10"/>`,
  (x, y) => `<path d="M${x} ${y - 6.5}l6.5 6.5l-6.5 6.5l-6.5 -6.5z"/>`,
  (x, y) => `<path d="M${x} ${y - 6}l6.5 11.5h-13z"/>`,
  (x, y) => `<path d="M${x} ${y + 6}l6.5 -11.5h-13z"/>`,
  (x, y) => `<path d="M${x - 5} ${y - 5}l10 10m0 -10l-10 10" class="line"/>`,
  (x, y) => `<path d="M${x - 6} ${y}h12m-6 -6v12" class="line"/>`,
]

const style = `
  text { font: 15px system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; fill: var(--ink) }
  .soft { fill: var(--soft); font-size: 13.5px }
  .head { font-size: 19px; font-weight: 650 }
  .name { font-weight: 600 }
  .grid { stroke: var(--grid); stroke-width: 1 }
  .base { stroke: var(--ink); stroke-width: 2.5 }
  .line { stroke-width: 2.6; fill: none }
  .ground { fill: var(--ground) }
  .lane { fill: var(--lane) }
  svg { --ink: #1b2330; --soft: #586274; --grid: #d3d9e2; --ground: #ffffff; --lane: #f4f6f9 }
  .s0 { fill: #1f77c9; stroke: #1f77c9 } .s1 { fill: #2c9457; stroke: #2c9457 } .s2 { fill: #c93d8c; stroke: #c93d8c }
  .s3 { fill: #d17a00; stroke: #d17a00 } .s4 { fill: #7a5bd0; stroke: #7a5bd0 } .floor { fill: #7b8494; stroke: #7b8494 }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e7ecf3; --soft: #a2adbd; --grid: #39424f; --ground: #10151c; --lane: #191f28 }
    .s0 { fill: #57a9f2; stroke: #57a9f2 } .s1 { fill: #52bd7f; stroke: #52bd7f } .s2 { fill: #ee74b7; stroke: #ee74b7 }
    .s3 { fill: #f0a33c; stroke: #f0a33c } .s4 { fill: #a78bf5; stroke: #a78bf5 } .floor { fill: #98a2b3; stroke: #98a2b3 }
  }`

/** The SVG for the size of which most was measured; nothing where there is no other database to compare with. */
export function chart({ sizes }) {
  const size = sizes.reduce((best, one) => (one.databases.length >= best.databases.length ? one : best))
  const [base, ...others] = peersFirst(size.databases)
  if (others.length === 0) return undefined
  const rows = workloads.filter(
    ({ name, chart }) => chart && base.workloads[name] && others.some(({ workloads }) => workloads[name]),
  )
  const ratios = rows.flatMap(({ name }) => others.map((one) => one.workloads[name]?.ratio)).filter((one) => one > 0)
  const scale = scaleFor(ratios)
  const legend = legendOf(base, others)
  const top = 74 + legend.height
  const bottom = top + rows.length * rowHeight
  const parts = [
    `<rect class="ground" width="${width}" height="${bottom + 52}" rx="10"/>`,
    `<text class="head" x="${left}" y="36">Time beside ${escaped(base.about.title)}’s, ${size.docs.toLocaleString('en')} documents</text>`,
    `<g transform="translate(0 50)">${legend.svg}</g>`,
    ...axis(scale, bottom),
    ...rows.map((row, index) => rowOf(row, { base, others, scale, y: top + index * rowHeight })),
    `<text class="soft" x="${left}" y="${bottom + 38}">← faster</text>`,
    `<text class="soft" x="${right}" y="${bottom + 38}" text-anchor="end">slower →</text>`,
  ]
  const title = `How many times ${escaped(base.about.title)}’s time other databases take, by workload`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 52}" width="${width}" height="${bottom + 52}" role="img" aria-label="${title}">
<title>${title}</title>
<style>${style}
</style>
${parts.join('\n')}
</svg>
`
}

/** A floor answers no queries. */
const isFloor = ({ workloads }) => workloads.findEqual === undefined

/** Databases before floors. */
function peersFirst([base, ...others]) {
  return [base, ...others.filter((one) => !isFloor(one)), ...others.filter(isFloor)]
}

/** Whole powers of ten that hold all ratios. */
function scaleFor(ratios) {
  const low = Math.min(-1, Math.floor(Math.log10(Math.min(...ratios))))
  const high = Math.max(1, Math.ceil(Math.log10(Math.max(...ratios))))
  const at = (times) => left + ((Math.log10(times) - low) / (high - low)) * (right - left)
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index))
  return { at: (times) => Number(at(times).toFixed(1)), ticks }
}

function axis(scale, bottom) {
  return scale.ticks.map((times) => {
    const x = scale.at(times)
    const anchor = x === left ? 'start' : x === right ? 'end' : 'middle'
    const text = times === 1 ? 'same' : `${times.toLocaleString('en')}×`
    return `<text class="soft" x="${x}" y="${bottom + 19}" text-anchor="${anchor}">${text}</text>`
  })
}

function rowOf(row, { base, others, scale, y }) {
  const own = `${milliseconds(base.workloads[row.name].wall.median)} ms`
  const lane = { top: y + 24, height: 34 }
  const lines = scale.ticks.map((times) => {
    const x = scale.at(times)
    return `<line class="${times === 1 ? 'base' : 'grid'}" x1="${x}" x2="${x}" y1="${lane.top}" y2="${lane.top + lane.height}"/>`
  })
  const gap = others.length > 1 ? 20 / (others.length - 1) : 0
  const marks = others.flatMap((one, index) => {
    const times = one.workloads[row.name]?.ratio
    if (times === undefined) return []
    return [markOf(one, index, scale.at(times), Number((lane.top + 7 + index * gap).toFixed(1)))]
  })
  return [
    `<text class="name" x="${left}" y="${y + 17}">${escaped(row.chart)}</text>`,
    `<text class="soft" x="${right}" y="${y + 17}" text-anchor="end">${escaped(base.about.title)} ${own}</text>`,
    `<rect class="lane" x="${left}" y="${lane.top}" width="${right - left}" height="${lane.height}"/>`,
    ...lines,
    ...marks,
  ].join('\n')
}

function markOf(database, index, x, y) {
  const look = isFloor(database) ? 'floor' : `s${index % 5}`
  return `<g class="${look}">${shapes[index % shapes.length](x, y)}</g>`
}

function legendOf(base, others) {
  const entries = [
    { svg: `<line class="base" x1="6" x2="6" y1="-7" y2="7"/>`, title: base.about.title },
    ...others.map((one, index) => ({ svg: markOf(one, index, 6, 0), title: one.about.title })),
  ]
  let [x, y] = [left, 10]
  const placed = entries.map(({ svg, title }) => {
    const wide = 40 + title.length * 8.2
    if (x + wide > right) [x, y] = [left, y + 24]
    const text = `<g transform="translate(${x.toFixed(1)} ${y})">${svg}<text x="19" y="5">${escaped(title)}</text></g>`
    x += wide
    return text
  })
  return { svg: placed.join('\n'), height: y }
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
