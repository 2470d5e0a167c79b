// The frame around every page: the ways to the pages, and the state of the sync, which is always in sight.

import type { ComponentChildren } from 'preact'
import { useSettings } from '../use-settings'
import { useSync } from '../use-sync'
import { Icon, type Sign } from './icon'
import { SyncPill } from './sync-pill'

const ways: { page: string; sign: Sign; label: string; also: string[] }[] = [
  { page: '', sign: 'journey', label: 'Journey', also: [] },
  { page: 'countries', sign: 'countries', label: 'Countries', also: ['country'] },
  { page: 'notes', sign: 'notes', label: 'Notes', also: ['note'] },
  { page: 'reviews', sign: 'reviews', label: 'Reviews', also: ['review'] },
]

interface Properties {
  page: string
  /** How many reviews are open. */
  reviews: number
  children: ComponentChildren
}

export function Shell({ page, reviews, children }: Properties) {
  const { name } = useSettings()
  const sync = useSync()
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={skip}>
        Skip to the page
      </button>
      <header class="bar">
        <a class="brand" href="#/" aria-label="Atlas, your journey">
          <img src="/icon.svg" alt="" width="32" height="32" />
          <span>Atlas</span>
        </a>
        <nav aria-label="Pages">
          {ways.map(({ page: way, sign, label, also }) => (
            <a key={way} href={`#/${way}`} aria-current={way === page || also.includes(page) ? 'page' : undefined}>
              <Icon sign={sign} />
              <span>{label}</span>
              {way === 'reviews' && reviews > 0 && (
                <span class="badge" data-testid="review-count">
                  {reviews}
                  <span class="unseen"> open</span>
                </span>
              )}
            </a>
          ))}
        </nav>
        <div class="bar-foot">
          <SyncPill sync={sync} current={page === 'sync'} />
          <a class="who" href="#/sync">
            <Icon sign="person" />
            <span>{name || 'Who are you?'}</span>
          </a>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  )
}

/** A button, not a link: the part of the address behind `#` names the page. */
function skip(): void {
  document.querySelector<HTMLElement>('main h1')?.focus()
}
