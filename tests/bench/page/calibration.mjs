// What the machine itself gives at the moment: a fixed loop of arithmetic, and a fixed piece of work for IndexedDB.
//
// Both are the same for every run, so where they differ the machine was busy with something else.

export async function calibrate() {
  // Once before the clock runs, so that the loop is compiled.
  spin(1_000_000)
  const began = performance.now()
  spin(60_000_000)
  const cpu_ms = performance.now() - began
  return { cpu_ms, storage_ms: await write() }
}

function spin(rounds) {
  let state = 88172645
  for (let round = 0; round < rounds; round += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
  }
  return state
}

/** A transaction of 1,000 records of 800 bytes, then 100 transactions of one. */
async function write() {
  const opening = indexedDB.open('calibration', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore('records')
  await settled(opening, 'onsuccess')
  const db = opening.result
  const record = 'x'.repeat(800)
  const began = performance.now()
  await put(db, 1000, record)
  for (let commit = 0; commit < 100; commit += 1) await put(db, 1, record)
  const storage_ms = performance.now() - began
  db.close()
  await settled(indexedDB.deleteDatabase('calibration'), 'onsuccess')
  return storage_ms
}

function put(db, records, value) {
  const transaction = db.transaction('records', 'readwrite', { durability: 'relaxed' })
  const store = transaction.objectStore('records')
  for (let key = 0; key < records; key += 1) store.put(value, key)
  return settled(transaction, 'oncomplete')
}

function settled(target, event) {
  return new Promise((resolve, reject) => {
    target[event] = resolve
    target.onerror = () => reject(target.error)
  })
}
