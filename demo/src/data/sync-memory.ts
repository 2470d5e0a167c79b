// What is remembered of a server from one start to the next.

export interface Memory {
  server: string
  /** The place in the local log up to which all was sent. */
  sent: string | number
  /** In milliseconds since 1970. */
  lastSynced?: number
}

const key = 'atlas-sync'

export function memoryOf(server: string): Memory {
  try {
    const stored = JSON.parse(localStorage.getItem(key) ?? 'null') as Memory | null
    if (stored?.server === server) return stored
  } catch {
    // Then everything counts as not sent, which the next sync puts right.
  }
  return { server, sent: 0 }
}

export function remember(memory: Memory): void {
  try {
    localStorage.setItem(key, JSON.stringify(memory))
  } catch {
    // As above.
  }
}
