// Tells when a newer version of the app was fetched and waits. It takes over when the person says so, never under the
// hands of somebody who is writing.

import { useEffect, useState } from 'preact/hooks'
import { onWaitingVersion, takeNewVersion } from '../version'

export function Update() {
  const [waiting, setWaiting] = useState(false)
  useEffect(() => onWaitingVersion(() => setWaiting(true)), [])
  if (!waiting) return null
  return (
    <div class="update" role="status">
      <span>A new version of Atlas is ready.</span>
      <button type="button" class="button" onClick={takeNewVersion}>
        Update
      </button>
    </div>
  )
}
