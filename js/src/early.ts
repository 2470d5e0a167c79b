// Has the browser open what it stores while the worker of a database starts: it reads its own files then, which takes longer the more
// there is.

interface LossEvent extends IDBVersionChangeEvent {
  /** Chromium tells here of what it has lost. */
  dataLoss?: string
  dataLossMessage?: string
}

/**
 * Opens IndexedDB's database of this name, and lets go of it again. Where there is none, none is made. Who opens a database first is told
 * that the browser has lost all that the origin had: so this may be, and calls `lost` with what the browser says.
 */
export function openEarly(name: string, lost: (reason: string) => void): void {
  // A page that the browser may freeze meanwhile would hold up who wants to delete the database.
  if (globalThis.document?.visibilityState === 'hidden') return
  try {
    const opening = indexedDB.open(`firkin:${name}`)
    opening.onupgradeneeded = (event) => {
      const { dataLoss, dataLossMessage = '' } = event as LossEvent
      if (dataLoss === 'total') lost(dataLossMessage)
      opening.transaction?.abort()
    }
    opening.onsuccess = () => opening.result.close()
    // Whatever is wrong, the engine finds it as well, and tells.
    opening.onerror = (event) => event.preventDefault()
  } catch {
    // It is denied here, as the engine is told.
  }
}
