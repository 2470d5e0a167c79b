// Medians and ranges. With three values or so nothing finer can be said.

export function median(values) {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** `{ median, low, high }`; nothing of no values. */
export function spread(values) {
  const known = values.filter((value) => value !== undefined)
  if (known.length === 0) return undefined
  return { median: median(known), low: Math.min(...known), high: Math.max(...known) }
}
