// What a page shows when it has nothing to show: nothing yet, nothing at all, or trouble.

import type { ComponentChildren } from 'preact'
import { plainReason } from '../data/errors'
import { Icon, type Sign } from './icon'

export function Empty({ sign, title, children }: { sign: Sign; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon sign={sign} size={32} />
      <h2>{title}</h2>
      {children}
    </div>
  )
}

export function Trouble({ error }: { error: unknown }) {
  return (
    <div class="empty trouble" role="alert">
      <Icon sign="warning" size={32} />
      <h2>This could not be read</h2>
      <p>{plainReason(error)}</p>
      <button type="button" class="button" onClick={() => location.reload()}>
        Reload the page
      </button>
    </div>
  )
}

/** Grey bars of the size of what is coming, so that nothing jumps when it comes. */
export function Waiting({ rows, height }: { rows: number; height: number }) {
  return (
    <div class="waiting" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} style={{ height: `${height}px` }} />
      ))}
    </div>
  )
}
