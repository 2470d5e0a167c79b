// Numbers as the reports print them: no more digits than they are worth.

/** Three digits at most of what is below 100, whole milliseconds above. */
export function milliseconds(value) {
  if (value === undefined) return '–'
  if (value >= 99.95) return Math.round(value).toLocaleString('en')
  if (value >= 9.995) return value.toFixed(1)
  return value >= 0.0995 ? value.toFixed(2) : value.toFixed(3)
}

export function bytes(value) {
  if (value === undefined) return '–'
  return value < 1e6 ? `${milliseconds(value / 1024)} KiB` : `${milliseconds(value / 1024 ** 2)} MiB`
}

export function ratio(value) {
  if (value === undefined) return ''
  if (value >= 9.95) return `${Math.round(value).toLocaleString('en')}×`
  return value >= 0.095 ? `${value.toFixed(1)}×` : `${value.toFixed(2)}×`
}

export function range(spread, format = milliseconds) {
  if (spread === undefined) return '–'
  const [low, high] = [format(spread.low), format(spread.high)]
  return low === high ? low : `${low}–${high}`
}

/** A markdown table; numbers stand right, but for the first `texts` columns. */
export function table(head, rows, texts = 1) {
  const rule = head.map((_, column) => (column < texts ? '---' : '--:'))
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
