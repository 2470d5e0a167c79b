// Keeps Chromium from losing all that a site has in IndexedDB, some time after its process was killed.
//
// Chromium keeps that in LevelDB, and goes on with the log that it finds. If the process died in the middle of a record, what is
// written next stands behind half a record; that is found when LevelDB opens the log once more, and then Chromium takes the
// whole database for corrupt, and begins with an empty one (https://github.com/google/leveldb/issues/1287). No page can see
// whether the log ends so. But where a database is deleted, Chromium compacts what it held, which moves all that is in the log to
// a table and begins a new one: so one that holds nothing is made and deleted again, as soon as there is something to write. It takes the browser some tens of
// milliseconds, which the first answers need not wait for.

/** The name of that database. Those of ours begin with `firkin:`. */
const SCRATCH = 'firkin'

/** Has the browser leave the log of an earlier process behind; does nothing where the browser has none. */
export function beginNewLog(): void {
  // Only Chromium tells of lost data.
  if (typeof IDBVersionChangeEvent === 'undefined' || !('dataLoss' in IDBVersionChangeEvent.prototype)) return
  try {
    const opening = indexedDB.open(SCRATCH)
    opening.onsuccess = () => {
      opening.result.close()
      indexedDB.deleteDatabase(SCRATCH)
    }
  } catch {
    // It is denied here, as whoever opens a database is told.
  }
}
