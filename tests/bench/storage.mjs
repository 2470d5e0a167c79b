// How much of the disk a profile's pages of one origin take: what the file system has allocated for them.

import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** IndexedDB has folders by origin; those of OPFS have no telling names, but calibration stores nothing there. */
export async function storedBytes(profile, origin) {
  const { hostname, port } = new URL(origin)
  const inIndexedDb = join(profile, 'Default', 'IndexedDB')
  const own = (await names(inIndexedDb)).filter((name) => name.includes(`_${hostname}_${port}`))
  const folders = [...own.map((name) => join(inIndexedDb, name)), join(profile, 'Default', 'File System')]
  const sizes = await Promise.all(folders.map(allocated))
  return sizes.reduce((sum, size) => sum + size, 0)
}

const names = (folder) => readdir(folder).catch(() => [])

async function allocated(path) {
  const stat = await lstat(path).catch(() => undefined)
  if (stat === undefined) return 0
  let bytes = stat.blocks * 512
  if (stat.isDirectory()) for (const name of await names(path)) bytes += await allocated(join(path, name))
  return bytes
}
