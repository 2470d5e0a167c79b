// Short messages at the foot of the page, with at most one thing to do about them. A screen reader hears them as well.

import { useEffect, useState } from 'preact/hooks'
import { plainReason } from '../data/errors'

interface Toast {
  key: number
  text: string
  bad: boolean
  action?: { label: string; run: () => void }
}

const shownFor_ms = 7000
let toasts: Toast[] = []
let next = 1
let refresh: () => void = () => undefined

export function say(text: string, action?: Toast['action'], bad = false): void {
  const toast: Toast = { key: next, text, bad, ...(action ? { action } : {}) }
  next += 1
  toasts = [...toasts.slice(-2), toast]
  refresh()
  setTimeout(() => dismiss(toast.key), shownFor_ms)
}

/** Takes back what was offered to do, as it was done elsewhere. */
export function withdrawActions(): void {
  toasts = toasts.filter(({ action }) => !action)
  refresh()
}

/** Runs what a person asked for; if it fails, says why. */
export async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    say(plainReason(error), undefined, true)
  }
}

export function Toasts() {
  const [, redraw] = useState(0)
  useEffect(() => {
    refresh = () => redraw((count) => count + 1)
  }, [])
  return (
    <div class="toasts" role="status" aria-live="polite" data-testid="toasts">
      {toasts.map(({ key, text, bad, action }) => (
        <div key={key} class={bad ? 'toast bad' : 'toast'}>
          <span>{text}</span>
          {action && (
            <button
              type="button"
              onClick={() => {
                dismiss(key)
                action.run()
              }}
            >
              {action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  )
}

function dismiss(key: number): void {
  toasts = toasts.filter((toast) => toast.key !== key)
  refresh()
}
