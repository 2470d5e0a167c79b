// A floor: IndexedDB without a library, a record for each document, no index.

import { openIndexedDb, promised, storeOf, transact } from './lib/indexeddb.mjs'

export const about = {
  title: 'raw records',
  packages: [],
  relaxed: 'IndexedDB, relaxed',
  strict: 'IndexedDB, strict',
  notes: 'a floor: IndexedDB, a record per document, no index; on the page',
}

export async function open(name, { durability }) {
  const db = await openIndexedDb(name, (made) => made.createObjectStore('items', { keyPath: '_id' }))
  return {
    bulk: (docs) =>
      transact(db, ['items'], durability, (items) => {
        for (const doc of docs) items.add(doc)
      }),
    insert: (doc) => transact(db, ['items'], durability, (items) => void items.add(doc)),
    update: (id, changes) =>
      transact(db, ['items'], durability, async (items) => {
        items.put({ ...(await promised(items.get(id))), ...changes })
      }),
    get: (id) => promised(storeOf(db, 'items').get(id)),
    close: async () => db.close(),
    destroy: () => {
      db.close()
      return promised(indexedDB.deleteDatabase(name))
    },
  }
}
