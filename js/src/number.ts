/** A number for something that the engine keeps for this page: one that no other tab uses. */
export function uniqueNumber(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  return (high % 2 ** 20) * 2 ** 32 + low + 1
}
