// Firkin over OPFS.

import { about as inIndexedDb, openIn } from './firkin.mjs'

export const about = {
  ...inIndexedDb,
  title: 'Firkin, OPFS',
  relaxed: 'OPFS, not flushed at a commit',
  strict: 'OPFS, flushed at each commit',
}

export async function open(name, { durability }) {
  return openIn('opfs', name, durability)
}
