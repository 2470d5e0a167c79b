// PouchDB with its newest adapter for browsers, and pouchdb-find.

import http from 'pouchdb-adapter-http'
import indexeddb from 'pouchdb-adapter-indexeddb'
import PouchDB from 'pouchdb-core'
import find from 'pouchdb-find'
import replication from 'pouchdb-replication'

export const about = {
  title: 'PouchDB',
  packages: ['pouchdb-core', 'pouchdb-adapter-indexeddb', 'pouchdb-find'],
  relaxed: "IndexedDB, the browser's default (relaxed)",
  notes:
    'indexeddb adapter, indexes on shelf and score, batches of 1,000 in replications; live asks again at each change; on the page',
}

PouchDB.plugin(indexeddb).plugin(http).plugin(replication).plugin(find)

export async function open(name, { fresh }) {
  const db = new PouchDB(name, { adapter: 'indexeddb' })
  await db.info()
  if (fresh) for (const field of ['shelf', 'score']) await db.createIndex({ index: { fields: [field] } })
  // Without a limit it answers 25 documents.
  const ask = async (query) => (await db.find({ limit: 1_000_000_000, ...query })).docs
  const first = (limit) => ask({ selector: { score: { $gte: 0 } }, sort: ['score'], limit })
  return {
    bulk: (docs) => db.bulkDocs(docs),
    insert: (doc) => db.put(doc),
    update: async (id, changes) => db.put({ ...(await db.get(id)), ...changes }),
    get: (id) => db.get(id),
    findEqual: (shelf) => ask({ selector: { shelf } }),
    findRange: (low, high, limit) => ask({ selector: { score: { $gte: low, $lt: high } }, sort: ['score'], limit }),
    findUndeclared: (code) => ask({ selector: { 'supplier.code': code } }),
    live: async (limit, heard) => {
      const feed = db.changes({ since: 'now', live: true })
      feed.on('change', async () => heard(await first(limit)))
      heard(await first(limit))
      return () => feed.cancel()
    },
    pull: (url) => db.replicate.from(url, { batch_size: 1000 }),
    close: () => db.close(),
    destroy: () => db.destroy(),
  }
}
