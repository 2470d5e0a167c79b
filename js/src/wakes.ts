// When the network may be there again, or be another one: the page comes back online or goes offline, is shown again, or was
// asleep together with its machine.

/** The network is not all there at once when the browser says so: it is tried once more after this. */
const SETTLED_MS = 1_500
const BEAT_MS = 10_000
/** Timers of pages in the background come up to a minute late; later than this they do after a sleep. */
const LATE_MS = 90_000

/** Calls `wake` at each such moment; the function returned ends that. */
export function onWake(wake: () => void): () => void {
  const listening = new AbortController()
  const { signal } = listening
  let settled: ReturnType<typeof setTimeout> | undefined
  const changed = () => {
    wake()
    clearTimeout(settled)
    settled = setTimeout(wake, SETTLED_MS)
  }
  const shown = () => {
    if (document.visibilityState === 'visible') wake()
  }
  globalThis.addEventListener?.('online', changed, { signal })
  globalThis.addEventListener?.('offline', changed, { signal })
  globalThis.addEventListener?.('pageshow', wake, { signal })
  globalThis.document?.addEventListener('visibilitychange', shown, { signal })
  let beat_ms = Date.now()
  const beats = setInterval(() => {
    const now_ms = Date.now()
    if (now_ms - beat_ms > LATE_MS) changed()
    beat_ms = now_ms
  }, BEAT_MS)
  return () => {
    listening.abort()
    clearTimeout(settled)
    clearInterval(beats)
  }
}
