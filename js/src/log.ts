// Keeps Chromium from losing all that a site has in IndexedDB, some time after its process was killed.
//
// Chromium keeps that in LevelDB, and goes on with the log that it finds. If the process died in the middle of a record, what is
// written next stands behind half a record; that is found when LevelDB opens the log once more, and then Chromium takes the
// whole database for corrupt, and begins with an empty one (https://github.com/google/leveldb/issues/1287). No page can see
// whether the log ends so. But where a database is deleted, Chromium compacts what it held, which moves all that is in the log to
// a table and begins a new one: so one that holds nothing is made and deleted again, while the engine is loaded.

/** The name of that database. Those of ours begin with `firkin:`. */
const SCRATCH = 'firkin'

/**
 * Has the browser leave the log of an earlier process behind. Does nothing where the browser has none. Who opens a database first
 * is told that data were lost: so this may be, and calls `lost` with what the browser says.
 */
export function beginNewLog(lost: (reason: string) => void): void {
  // Only Chromium tells of lost data.
  if (typeof IDBVersionChangeEvent === 'undefined' || !('dataLoss' in IDBVersionChangeEvent.prototype)) return
  try {
    const opening = indexedDB.open(SCRATCH)
    opening.onupgradeneeded = (event) => {
      const { dataLoss, dataLossMessage } = event as IDBVersionChangeEvent & {
        dataLoss: string
        dataLossMessage: string
      }
      if (dataLoss === 'total') lost(dataLossMessage)
    }
    opening.onsuccess = () => {
      opening.result.close()
      indexedDB.deleteDatabase(SCRATCH)
    }
  } catch {
    // It is denied here, as whoever opens a database is told.
  }
}
