// The address of the page shown: `#/country/FRA`, `#/countries?region=Asia`. The part behind `#` never leaves the device,
// so every page opens with the network off from one cached document.
//
// Going back returns to the place on the page that was left; going on starts at the top, and puts the focus on the new
// page's heading, so that a screen reader says where one is.

import { useEffect, useLayoutEffect, useState } from 'preact/hooks'

export interface Route {
  /** `['country', 'FRA']`; empty for the first page. */
  path: string[]
  query: URLSearchParams
}

const places = new Map<number, number>()
let entry = 0
let last = 0

export function useRoute(): Route {
  const [route, setRoute] = useState(read)
  useEffect(() => {
    history.scrollRestoration = 'manual'
    history.replaceState({ entry }, '')
    const leave = () => places.set(entry, scrollY)
    const change = () => {
      const known = (history.state as { entry?: number } | null)?.entry
      if (known === undefined) {
        last = entry + 1
        history.replaceState({ entry: last }, '')
      }
      entry = known ?? last
      arrived = known !== undefined
      setRoute(read())
    }
    addEventListener('scroll', leave, { passive: true })
    addEventListener('hashchange', change)
    return () => {
      removeEventListener('scroll', leave)
      removeEventListener('hashchange', change)
    }
  }, [])
  return route
}

/** Whether the last step was one back (or forward) to a page seen before. */
let arrived = false

/** To be called by the page's frame: places the focus and the scroll after a step from page to page. */
export function useArrival(page: string): void {
  useLayoutEffect(() => {
    if (last === 0 && !arrived) return
    const goal = arrived ? (places.get(entry) ?? 0) : 0
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true })
    return scrollWhenTall(goal)
  }, [page])
}

/** A page fills while its queries answer: tries until it is tall enough, for a second at most. */
function scrollWhenTall(goal: number): () => void {
  const until = performance.now() + 1000
  let frame = 0
  const attempt = () => {
    scrollTo({ top: goal, behavior: 'instant' })
    if (Math.abs(scrollY - goal) > 1 && performance.now() < until) frame = requestAnimationFrame(attempt)
  }
  attempt()
  return () => cancelAnimationFrame(frame)
}

export function go(address: string): void {
  location.hash = address
}

/** Changes the address without a step in the history: for a search field, which would leave one at every letter. */
export function replaceAddress(address: string): void {
  history.replaceState(history.state, '', address)
  dispatchEvent(new HashChangeEvent('hashchange'))
}

function read(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  return { path: path.split('/').filter(Boolean).map(decoded), query: new URLSearchParams(query) }
}

/** An address typed by hand may hold a broken escape. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
