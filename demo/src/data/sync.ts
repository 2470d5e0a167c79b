// The journal's sync with one server: starts and stops it as the settings say, and tells how it goes in five states.
//
// Only visits and notes travel: every device has the countries already. What waits to be sent is counted from the local
// log, so that the count is right with the network off, too. Of several tabs only the one that leads the database syncs; the
// others show what it tells them.

import type { Denied, FirkinError, Selector, Sync } from 'firkin'
import { database, onChange } from './database'
import { plainReason } from './errors'
import { currentSettings, onSettings } from './settings'
import { memoryOf, remember } from './sync-memory'

export interface SyncView {
  state: 'off' | 'syncing' | 'synced' | 'offline' | 'error'
  /** What is wrong, with `error`. */
  reason: string
  /** How many entries were changed here and not yet sent. */
  pending: number
  /** When both sides last had the same, in milliseconds since 1970. */
  lastSynced: number | undefined
  /** The server's database; empty where none is named. */
  server: string
}

/** What the tabs tell each other: the leading one its view, the others what they ask of it. */
type Letter = { view: SyncView } | { ask: 'view' | 'retry' }

const journalOnly: Selector = { kind: { $in: ['visit', 'note'] } }

const listeners = new Set<() => void>()
const tabs = new BroadcastChannel('atlas-sync')
let leading = false
let offered = ''
let handle: Sync | undefined
let trouble = false
let view: SyncView = { state: 'off', reason: '', pending: 0, lastSynced: undefined, server: '' }

export function currentSync(): SyncView {
  return view
}

export function onSync(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

database.on('leader', (change) => {
  leading = change.leading
  restart()
})

/** Called once, at start. */
export async function beginSync(): Promise<void> {
  offered = await offeredServer()
  tabs.addEventListener('message', ({ data }: MessageEvent<Letter>) => receive(data))
  onSettings(restart)
  onChange(() => void count())
  addEventListener('online', retrySync)
  addEventListener('offline', () => show({}))
  restart()
}

export function retrySync(): void {
  if (leading) {
    stop()
    restart()
  } else send({ ask: 'retry' })
}

export function isServer(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname } = new URL(text)
  return (protocol === 'http:' || protocol === 'https:') && pathname.length > 1
}

/** The database that this page was served with: in its own address, for a link to a shared journal, or in its config. */
async function offeredServer(): Promise<string> {
  const named = new URLSearchParams(location.search).get('sync')
  if (named !== null && isServer(named)) return named
  try {
    const config: unknown = await (await fetch('/config.json')).json()
    const { sync } = config as { sync?: unknown }
    return typeof sync === 'string' && isServer(sync) ? sync : ''
  } catch {
    return ''
  }
}

function restart(): void {
  const settings = currentSettings()
  const server = settings.server === '' ? offered : settings.server
  const on = leading && settings.syncOn && settings.welcomed && server !== ''
  if (!on || server !== view.server || trouble) stop()
  show({ server, lastSynced: memoryOf(server).lastSynced })
  if (on && handle === undefined) start(server)
  if (!leading) send({ ask: 'view' })
  void count()
}

function start(server: string): void {
  const sync = database.sync(server, { live: true, retry: true, selector: journalOnly })
  handle = sync
  show({ state: 'syncing' })
  const now = (react: () => void) => {
    if (handle === sync) react()
  }
  sync.on('active', () => now(() => show({ state: 'syncing' })))
  sync.on('paused', (error) => now(() => (error ? fail(error) : rest(sync))))
  sync.on('denied', (denied) => now(() => fail(refusal(denied))))
  sync.on('error', (error) => now(() => fail(error)))
}

function stop(): void {
  handle?.cancel()
  handle = undefined
  trouble = false
  show({ state: 'off', reason: '' })
}

/** All that is known has moved, both ways. */
function rest(sync: Sync): void {
  trouble = false
  const lastSynced = Date.now()
  const sent = sync.push.status.lastSeq ?? memoryOf(view.server).sent
  remember({ server: view.server, sent, lastSynced })
  show({ state: 'synced', reason: '', lastSynced })
  void count()
}

function fail(error: FirkinError | Error): void {
  trouble = true
  show({ state: 'error', reason: plainReason(error) })
}

function refusal({ reason }: Denied): Error {
  return new Error(`The server refused an entry: ${reason ?? 'it gave no reason'}.`)
}

async function count(): Promise<void> {
  try {
    const { results } = await database.changes({ since: memoryOf(view.server).sent, selector: journalOnly })
    if (results.length !== view.pending) show({ pending: results.length })
  } catch {
    // A database that cannot be read is what the pages tell of.
  }
}

function show(changes: Partial<SyncView>): void {
  view = { ...view, ...changes }
  if (handle !== undefined && !navigator.onLine) view.state = 'offline'
  for (const listener of listeners) listener()
  if (leading) send({ view })
}

function send(letter: Letter): void {
  tabs.postMessage(letter)
}

function receive(letter: Letter): void {
  if ('view' in letter) {
    if (!leading) show(letter.view)
  } else if (leading) {
    if (letter.ask === 'retry') retrySync()
    else send({ view })
  }
}
