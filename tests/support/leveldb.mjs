// The files in which Chromium keeps what a site has in IndexedDB: a LevelDB database.

import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The path of the log that was begun last. `profile` is as of profile.mjs; it has one site. */
export async function latestLog({ folder }) {
  const sites = join(folder, 'Default', 'IndexedDB')
  const site = (await readdir(sites)).find((name) => name.endsWith('.leveldb'))
  const logs = (await readdir(join(sites, site))).filter((name) => name.endsWith('.log'))
  return join(sites, site, logs.sort().at(-1))
}

/** Cuts the log off in the middle of its last record, as a kill does that comes while it is written. */
export async function tear(log) {
  await truncate(log, (await stat(log)).size - 5)
}

/** Changes a byte in the middle of the log. */
export async function damage(log) {
  const bytes = await readFile(log)
  bytes[bytes.length >> 1] ^= 1
  await writeFile(log, bytes)
}
