import { useEffect, useState } from 'preact/hooks'
import { currentSync, onSync, type SyncView } from './data/sync'

/** The state of the sync, and the page anew when it changes. */
export function useSync(): SyncView {
  const [view, setView] = useState(currentSync)
  useEffect(() => onSync(() => setView(currentSync())), [])
  return view
}
