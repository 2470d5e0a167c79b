// A floor: IndexedDB without a library, documents as JSON text packed into blocks, no index.
//
// A bulk fills blocks of up to 60,000 bytes (from 64 KiB on Chromium keeps a value in a file of its own) and writes a
// directory of what lies where. A single write is one small record of a log. Nothing but the directory is kept in memory:
// a get reads its block and parses its document.

import { openIndexedDb, promised, storeOf, transact } from './lib/indexeddb.mjs'

export const about = {
  title: 'raw blocks',
  packages: [],
  relaxed: 'IndexedDB, relaxed',
  strict: 'IndexedDB, strict',
  notes: 'a floor: IndexedDB, documents packed into blocks, no index; on the page',
}

const blockBytesMax = 60_000
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export async function open(name, { durability }) {
  const db = await openIndexedDb(name, (made) => {
    for (const store of ['blocks', 'directories', 'log']) made.createObjectStore(store)
  })
  const places = new Map()
  for (const directory of await promised(storeOf(db, 'directories').getAll())) {
    for (const [id, ...place] of directory) places.set(id, place)
  }
  for (const id of await promised(storeOf(db, 'log').getAllKeys())) places.set(id, null)

  const get = async (id) => {
    const place = places.get(id)
    if (place === null) return JSON.parse(decoder.decode(await promised(storeOf(db, 'log').get(id))))
    const [key, start, end] = place
    const block = await promised(storeOf(db, 'blocks').get(key))
    return JSON.parse(decoder.decode(block.subarray(start, end)))
  }
  const append = async (doc) => {
    const bytes = encoder.encode(JSON.stringify(doc))
    await transact(db, ['log'], durability, (log) => void log.put(bytes, doc._id))
    places.set(doc._id, null)
  }
  return {
    bulk: async (docs) => {
      const { blocks, directory } = pack(docs)
      await transact(db, ['blocks', 'directories'], durability, (store, directories) => {
        for (const [key, bytes] of blocks) store.put(bytes, key)
        directories.put(directory, docs[0]._id)
      })
      for (const [id, ...place] of directory) places.set(id, place)
    },
    copy: (bytes) =>
      transact(db, ['blocks'], durability, (store) => {
        for (let start = 0; start < bytes.length; start += blockBytesMax) {
          store.put(bytes.slice(start, start + blockBytesMax), start)
        }
      }),
    insert: append,
    update: async (id, changes) => append({ ...(await get(id)), ...changes }),
    get,
    close: async () => db.close(),
    destroy: () => {
      db.close()
      return promised(indexedDB.deleteDatabase(name))
    },
  }
}

/** Blocks, each under the id of its first document, and `[id, block, start, end]` for each document. */
function pack(docs) {
  const blocks = []
  const directory = []
  let block = new Uint8Array(blockBytesMax)
  let length = 0
  let key = docs[0]._id
  for (const doc of docs) {
    const bytes = encoder.encode(JSON.stringify(doc))
    if (length + bytes.length > blockBytesMax) {
      blocks.push([key, block.slice(0, length)])
      block = new Uint8Array(Math.max(blockBytesMax, bytes.length))
      length = 0
      key = doc._id
    }
    block.set(bytes, length)
    directory.push([doc._id, key, length, length + bytes.length])
    length += bytes.length
  }
  blocks.push([key, block.slice(0, length)])
  return { blocks, directory }
}
