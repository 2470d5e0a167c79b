// The files of databases in the origin's private file system: opened, listed and deleted here; the engine reads and writes them.
//
// The folder `firkin` holds a folder for each database: the file `fence`, and three files for each lane (see docs/file-format.md).
// **A lane has one owner**, who holds its Web Lock for as long as its files are open to it: an owner that is frozen keeps its
// lane, and whoever takes over gets another. Handles are opened so that several can be had of one file, where the browser knows how;
// where it does not, a database waits until its last leader is gone.

import { badRequest, closed, FirkinError, storageFailed } from './errors.js'

const FOLDER = 'firkin'
const FENCE = 'fence'
/** Both journals and the data. */
const LANE_FILES = ['a', 'b', 'data'] as const
/** For how long it is waited for files that another holds, and how often it is tried. */
const WAIT_MS_MAX = 30_000
const RETRY_MS = 50
/** How often it is looked whether the browser has thrown the files away. */
const LOOK_MS = 1000

const GONE = 'the browser has removed the data of the database, as it does when they are cleared'

/** What is used of `FileSystemSyncAccessHandle`; only workers have it. */
export interface SyncFile {
  close(): void
}

interface SyncFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(options: { mode: 'readwrite-unsafe' }): Promise<SyncFile>
}

/** The files of a database, as long as they are open. */
export interface DatabaseFiles {
  /** As the engine takes them: the fence, then for each lane whether it is this opening's own, and its files. */
  readonly handles: (SyncFile | boolean)[]
  close(): void
}

/**
 * Opens the files of a database. Those that are not there are made where `mayMake`; else it fails as `gone`.
 * `lost` is called once the files are gone.
 */
export async function openFiles(
  name: string,
  mayMake: boolean,
  lost: (reason: string) => void,
): Promise<DatabaseFiles> {
  const folder = await typed(async () => {
    const storage = await root()
    if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) {
      throw storageFailed('a database in OPFS is opened in a worker of a page, and not with `worker: false`')
    }
    try {
      const all = await storage.getDirectoryHandle(FOLDER, { create: mayMake })
      return await all.getDirectoryHandle(folderName(name), { create: mayMake })
    } catch (error) {
      if ((error as Error).name !== 'NotFoundError' || mayMake) throw error
      throw new FirkinError({ status: 503, name: 'gone', reason: GONE })
    }
  })
  const opened: SyncFile[] = []
  const leave: (() => void)[] = []
  let watch: ReturnType<typeof setInterval> | undefined
  const close = () => {
    clearInterval(watch)
    for (const file of opened.splice(0)) file.close()
    for (const release of leave.splice(0)) release()
  }
  try {
    const existing = await typed(() => countLanes(folder))
    const own: ((() => void) | undefined)[] = await Promise.all(
      Array.from({ length: existing }, (_, lane) => takeLane(name, lane)),
    )
    while (!own.some(Boolean)) own.push(await takeLane(name, own.length))
    leave.push(...own.filter((release) => release !== undefined))
    const names = [FENCE, ...own.flatMap((_, lane) => LANE_FILES.map((file) => `${lane}.${file}`))]
    const files = await allOf(
      names.map((file) => openFile(folder, file)),
      opened,
    )
    const [fence, ...lanes] = files
    watch = setInterval(() => {
      folder.getFileHandle(FENCE).catch(({ name }) => {
        if (name === 'NotFoundError') lost(GONE)
      })
    }, LOOK_MS)
    const handles = own.flatMap((release, lane) => [release !== undefined, ...lanes.slice(lane * 3, lane * 3 + 3)])
    return { handles: [fence as SyncFile, ...handles], close }
  } catch (error) {
    close()
    throw error
  }
}

/** Deletes the files of a database that is closed, whether or not there are any. */
export async function deleteFiles(name: string): Promise<void> {
  await typed(async () => {
    const all = await (await root()).getDirectoryHandle(FOLDER, { create: true })
    await patiently(() => all.removeEntry(folderName(name), { recursive: true })).catch((error) => {
      if (error.name !== 'NotFoundError') throw error
    })
  })
}

/** The names of the databases that have files; none where there is no such file system. */
export async function listFiles(): Promise<string[]> {
  const names: string[] = []
  try {
    const all = await (await root()).getDirectoryHandle(FOLDER)
    for await (const folder of all.keys()) {
      const name = databaseName(folder)
      if (name !== undefined) names.push(name)
    }
  } catch {
    // There are none.
  }
  return names
}

/** The database of a folder; none of one that other code has made. */
function databaseName(folder: string): string | undefined {
  try {
    const name = decodeURIComponent(folder)
    return folderName(name) === folder ? name : undefined
  } catch {
    return undefined
  }
}

async function root(): Promise<FileSystemDirectoryHandle> {
  if (typeof globalThis.navigator?.storage?.getDirectory !== 'function') {
    throw storageFailed('OPFS is not available here: it is to secure pages (https, localhost) of newer browsers')
  }
  return navigator.storage.getDirectory()
}

/** File systems may take upper and lower case for the same, and know few other characters. */
function folderName(database: string): string {
  const hex = (byte: number) => `%${byte.toString(16).padStart(2, '0')}`
  try {
    encodeURIComponent(database)
  } catch {
    throw badRequest('the name of a database in OPFS is well-formed text')
  }
  const bytes = [...new TextEncoder().encode(database)]
  return bytes
    .map((byte) => (/[a-z0-9_-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : hex(byte)))
    .join('')
}

/** How many lanes have files. */
async function countLanes(folder: FileSystemDirectoryHandle): Promise<number> {
  let lanes = 0
  for await (const file of folder.keys()) lanes = Math.max(lanes, Number.parseInt(file, 10) + 1 || 0)
  return lanes
}

/** Becomes the owner of a lane, if it has none; what it answers ends that. */
function takeLane(database: string, lane: number): Promise<(() => void) | undefined> {
  return new Promise((taken, failed) => {
    const hold = (lock: Lock | null) => {
      if (lock === null) return taken(undefined)
      return new Promise<void>((release) => taken(release))
    }
    navigator.locks.request(`firkin-lane-${lane}:${database}`, { ifAvailable: true }, hold).catch(failed)
  })
}

async function openFile(folder: FileSystemDirectoryHandle, name: string): Promise<SyncFile> {
  const handle = (await folder.getFileHandle(name, { create: true })) as SyncFileHandle
  // A browser that does not know the mode lets nobody else have the file.
  return patiently(() => handle.createSyncAccessHandle({ mode: 'readwrite-unsafe' }))
}

/** All of the files; those that were opened are in `opened` also where some were not. */
async function allOf(opening: Promise<SyncFile>[], opened: SyncFile[]): Promise<SyncFile[]> {
  const outcomes = await Promise.allSettled(opening)
  for (const outcome of outcomes) if (outcome.status === 'fulfilled') opened.push(outcome.value)
  return typed(() => Promise.all(opening))
}

/** Tries again for as long as another holds the file. */
async function patiently<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + WAIT_MS_MAX
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if ((error as Error).name !== 'NoModificationAllowedError' || performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Errors of the platform, as this library tells them. */
async function typed<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof FirkinError) throw error
    const { name, message } = error as Error
    if (name === 'QuotaExceededError') {
      throw new FirkinError({ status: 507, name: 'quota_exceeded', reason: 'there is no room left to store this' })
    }
    if (name === 'InvalidStateError') throw closed('the database is closed')
    const held = name === 'NoModificationAllowedError' ? 'another tab holds the files of the database: ' : ''
    throw storageFailed(`${held}${name}: ${message}`, error)
  }
}
