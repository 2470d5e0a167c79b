// "Been" and "want to go": two toggles, of which at most one is on.

import { useState } from 'preact/hooks'
import type { Mark } from '../data/documents'
import { setMark } from '../data/journal'
import { Icon, type Sign } from './icon'
import { attempt } from './toasts'

const kinds: { mark: Mark; sign: Sign; short: string; label: (name: string) => string }[] = [
  { mark: 'been', sign: 'check', short: 'Been', label: (name) => `Been to ${name}` },
  { mark: 'want', sign: 'heart', short: 'Want to go', label: (name) => `Want to go to ${name}` },
]

interface Properties {
  code: string
  name: string
  mark: Mark | undefined
  /** With words beside the signs, as on the country's own page. */
  worded?: boolean
}

export function MarkButtons({ code, name, mark, worded = false }: Properties) {
  const [busy, setBusy] = useState(false)
  const toggle = async (pressed: Mark) => {
    if (busy) return
    setBusy(true)
    await attempt(() => setMark(code, mark === pressed ? null : pressed))
    setBusy(false)
  }
  return (
    <div class={worded ? 'marks worded' : 'marks'}>
      {kinds.map((kind) => (
        <button
          key={kind.mark}
          type="button"
          class={`mark ${kind.mark}`}
          aria-pressed={mark === kind.mark}
          aria-label={kind.label(name)}
          title={worded ? undefined : kind.label(name)}
          data-testid={`${kind.mark}-${code}`}
          onClick={() => void toggle(kind.mark)}
        >
          <Icon sign={kind.sign} />
          {worded && <span>{kind.short}</span>}
        </button>
      ))}
    </div>
  )
}
