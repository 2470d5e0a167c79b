// IndexedDB's requests as promises: all that the two floors need of a library.

export function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** Opens the database; `make(db)` creates its stores where it is new. */
export function openIndexedDb(name, make) {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => make(request.result)
  return promised(request)
}

/** Runs `work(stores)` in one transaction, and resolves with what it returned once the transaction is complete. */
export async function transact(db, names, durability, work) {
  const transaction = db.transaction(names, 'readwrite', { durability })
  const complete = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve
    transaction.onabort = () => reject(transaction.error)
  })
  const result = await work(...names.map((name) => transaction.objectStore(name)))
  await complete
  return result
}

export const storeOf = (db, name) => db.transaction(name, 'readonly').objectStore(name)
