// RxDB over its free storage for browsers, with the two indexes that the declared queries need.

import { createRxDatabase, removeRxDatabase } from 'rxdb/plugins/core'
import { replicateCouchDB } from 'rxdb/plugins/replication-couchdb'
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie'

export const about = {
  title: 'RxDB',
  packages: ['rxdb'],
  relaxed: "IndexedDB, the browser's default (relaxed)",
  notes:
    'Dexie storage, one tab (multiInstance: false), indexes on shelf and score, batches of 1,000 in replications; on the page',
}

const schema = {
  version: 0,
  primaryKey: '_id',
  type: 'object',
  properties: {
    _id: { type: 'string', maxLength: 32 },
    shelf: { type: 'string', maxLength: 16 },
    score: { type: 'integer', minimum: 0, maximum: 10_000_000, multipleOf: 1 },
  },
  required: ['_id', 'shelf', 'score'],
  indexes: ['shelf', 'score'],
}

export async function open(name) {
  const storage = getRxStorageDexie()
  const db = await createRxDatabase({ name, storage, multiInstance: false, eventReduce: true })
  const { items } = await db.addCollections({ items: { schema } })
  const find = (query) => items.find(query).exec()
  return {
    bulk: async (docs) => {
      const { error } = await items.bulkInsert(docs)
      if (error.length > 0) throw new Error(`${error.length} documents were not inserted`)
    },
    insert: (doc) => items.insert(doc),
    update: async (id, changes) => (await items.findOne(id).exec()).patch(changes),
    get: (id) => items.findOne(id).exec(),
    findEqual: (shelf) => find({ selector: { shelf } }),
    findRange: (low, high, limit) =>
      find({ selector: { score: { $gte: low, $lt: high } }, sort: [{ score: 'asc' }], limit }),
    findUndeclared: (code) => find({ selector: { 'supplier.code': code } }),
    live: async (limit, heard) => {
      const subscription = items.find({ selector: {}, sort: [{ score: 'asc' }], limit }).$.subscribe(heard)
      return () => subscription.unsubscribe()
    },
    pull: async (url) => {
      const pulling = replicateCouchDB({
        replicationIdentifier: 'pull',
        collection: items,
        url: `${url}/`,
        live: false,
        pull: { batchSize: 1000 },
      })
      let failure
      pulling.error$.subscribe((error) => {
        failure ??= error
      })
      await pulling.awaitInitialReplication()
      await pulling.cancel()
      if (failure !== undefined) throw failure
    },
    plain: (doc) => doc.toMutableJSON(),
    close: () => db.close(),
    destroy: async () => {
      await db.close()
      await removeRxDatabase(name, storage, false)
    },
  }
}
