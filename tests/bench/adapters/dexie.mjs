// Dexie, with the two indexes that the declared queries need.

import { Dexie, liveQuery } from 'dexie'

export const about = {
  title: 'Dexie',
  packages: ['dexie'],
  relaxed: 'IndexedDB, relaxed',
  strict: 'IndexedDB, strict',
  notes: 'indexes on shelf and score; one tab or many; on the page',
}

export async function open(name, { durability }) {
  const db = new Dexie(name, { chromeTransactionDurability: durability })
  db.version(1).stores({ items: '_id, shelf, score' })
  await db.open()
  const { items } = db
  return {
    // Without the keys of all that was stored, as its documentation advises for speed.
    bulk: (docs) => items.bulkAdd(docs, { allKeys: false }),
    insert: (doc) => items.add(doc),
    update: (id, changes) => items.update(id, changes),
    get: (id) => items.get(id),
    findEqual: (shelf) => items.where('shelf').equals(shelf).toArray(),
    findRange: (low, high, limit) => items.where('score').between(low, high).limit(limit).toArray(),
    findUndeclared: (code) => items.filter(({ supplier }) => supplier?.code === code).toArray(),
    live: async (limit, heard) => {
      const subscription = liveQuery(() => items.orderBy('score').limit(limit).toArray()).subscribe(heard)
      return () => subscription.unsubscribe()
    },
    close: async () => db.close(),
    destroy: () => db.delete(),
  }
}
