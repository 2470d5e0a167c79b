// Registers the service worker, which keeps the app's files on this device, and notices when it has fetched newer ones.

let registration: ServiceWorkerRegistration | undefined

/** Called once, at start. Without service workers (an old browser, a plain http address) the app runs as a web page. */
export async function keepVersions(): Promise<void> {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return
  let replacing = navigator.serviceWorker.controller !== null
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (replacing) location.reload()
    replacing = true
  })
  try {
    registration = await navigator.serviceWorker.register('/service-worker.js')
  } catch {
    // A browser may forbid it, in a private window for one. The journal itself is stored all the same.
  }
}

export function onWaitingVersion(callback: () => void): () => void {
  const watch = (worker: ServiceWorker | null) => {
    const check = () => {
      if (worker?.state === 'installed' && navigator.serviceWorker.controller) callback()
    }
    check()
    worker?.addEventListener('statechange', check)
  }
  const look = () => watch(registration?.installing ?? registration?.waiting ?? null)
  let stopped = false
  if ('serviceWorker' in navigator && !import.meta.env.DEV) {
    void navigator.serviceWorker.ready.then((ready) => {
      if (stopped) return
      registration = ready
      ready.addEventListener('updatefound', look)
      look()
    })
  }
  return () => {
    stopped = true
    registration?.removeEventListener('updatefound', look)
  }
}

export function takeNewVersion(): void {
  registration?.waiting?.postMessage('take over')
}
