// The frame of one page: its heading, which takes the focus on arrival, and the document's title.

import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'

interface Properties {
  title: string
  /** What stands in the heading, where it is more than the title. */
  heading?: ComponentChildren
  /** What stands beside the heading: buttons, most often. */
  aside?: ComponentChildren
  class?: string
  children: ComponentChildren
}

export function Page({ title, heading, aside, class: name = '', children }: Properties) {
  useEffect(() => {
    document.title = `${title} · Atlas`
  }, [title])
  return (
    <div class={`page ${name}`}>
      <header class="page-head">
        <h1 tabIndex={-1}>{heading ?? title}</h1>
        {aside && <div class="page-aside">{aside}</div>}
      </header>
      {children}
    </div>
  )
}
