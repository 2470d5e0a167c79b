// What belongs to this device and not to the journal: who writes here, and where to sync. Kept in localStorage, so that it
// is known before the database is open.

export interface Settings {
  name: string
  /** Whether the welcome was passed once. */
  welcomed: boolean
  syncOn: boolean
  /** The database on the server; empty for the one that this page was served with. */
  server: string
}

const key = 'atlas-settings'
const defaults: Settings = { name: '', welcomed: false, syncOn: true, server: '' }
const listeners = new Set<() => void>()
let settings = read()

export function currentSettings(): Settings {
  return settings
}

export function changeSettings(changes: Partial<Settings>): void {
  settings = { ...settings, ...changes }
  try {
    localStorage.setItem(key, JSON.stringify(settings))
  } catch {
    // A browser that forbids storage to this page still lets it run until it is closed.
  }
  for (const listener of listeners) listener()
}

export function onSettings(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

// Another tab of this device has changed them.
addEventListener('storage', (event) => {
  if (event.key !== key) return
  settings = read()
  for (const listener of listeners) listener()
})

function read(): Settings {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? '{}')
    return { ...defaults, ...(stored as Partial<Settings>) }
  } catch {
    return defaults
  }
}
