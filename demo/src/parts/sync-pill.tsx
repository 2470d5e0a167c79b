// The state of the sync in a word, on every page.

import type { SyncView } from '../data/sync'
import { Icon, type Sign } from './icon'

const looks: Record<SyncView['state'], { sign: Sign; label: string }> = {
  off: { sign: 'cloud', label: 'Sync is off' },
  syncing: { sign: 'sync', label: 'Syncing' },
  synced: { sign: 'check', label: 'Synced' },
  offline: { sign: 'offline', label: 'Offline' },
  error: { sign: 'warning', label: 'Sync trouble' },
}

export function syncLabel({ state }: SyncView): string {
  return looks[state].label
}

export function SyncPill({ sync, current }: { sync: SyncView; current: boolean }) {
  const { sign, label } = looks[sync.state]
  return (
    <a
      class={`sync-pill ${sync.state}`}
      href="#/sync"
      aria-current={current ? 'page' : undefined}
      data-testid="sync-state"
      data-state={sync.state}
      data-pending={sync.pending}
    >
      <Icon sign={sign} size={18} />
      <span role="status">{label}</span>
      {sync.pending > 0 && (
        <span class="badge" title={waiting(sync.pending)}>
          {sync.pending}
          <span class="unseen"> waiting to be sent</span>
        </span>
      )}
    </a>
  )
}

export function waiting(pending: number): string {
  if (pending === 0) return 'Nothing waits to be sent'
  return pending === 1 ? '1 change waits to be sent' : `${pending} changes wait to be sent`
}
