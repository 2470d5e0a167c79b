// Firkin as the README shows it: nothing is declared.

import { Firkin } from 'firkin'

export const about = {
  title: 'Firkin',
  packages: ['firkin'],
  relaxed: 'IndexedDB, relaxed',
  strict: 'IndexedDB, strict',
  notes: 'every path is indexed; engine in a worker, shared by tabs',
}

export async function open(name, { durability }) {
  return openIn('indexeddb', name, durability)
}

/** Over another storage it is called in the same way. */
export async function openIn(storage, name, durability) {
  const db = new Firkin(name, { storage, durability })
  await db.ready
  const find = async (query) => (await db.find(query)).docs
  return {
    bulk: (docs) => db.bulkDocs(docs),
    insert: (doc) => db.put(doc),
    update: async (id, changes) => db.put({ ...(await db.get(id)), ...changes }),
    get: (id) => db.get(id),
    findEqual: (shelf) => find({ selector: { shelf } }),
    findRange: (low, high, limit) =>
      find({ selector: { score: { $gte: low, $lt: high } }, sort: [{ score: 'asc' }], limit }),
    findUndeclared: (code) => find({ selector: { 'supplier.code': code } }),
    live: async (limit, heard) =>
      db.live({ selector: {}, sort: [{ score: 'asc' }], limit }).subscribe(({ docs }) => heard(docs)),
    pull: (url) => db.replicate.from(url),
    pullPlain: (url) => db.replicate.from(url, { snapshot: false }),
    close: () => db.close(),
    destroy: () => db.destroy(),
  }
}
