// Keeps the app on this device: every file of one build, fetched together, served from the cache ever after.
//
// The build puts the list of files and a version made from their contents in the place of the two names below
// (build/service-worker.mjs). A new build is a new worker with a cache of its own; it waits until the page asks it to
// take over, so that no page ever runs on files of two builds. Requests to other origins (the sync server) pass by.

const version = __VERSION__
const files = __FILES__

const cacheName = `atlas-${version}`

addEventListener('install', (event) => {
  event.waitUntil(keepAll())
})

addEventListener('activate', (event) => {
  event.waitUntil(dropOthers().then(() => clients.claim()))
})

addEventListener('message', (event) => {
  if (event.data === 'take over') skipWaiting()
})

addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== location.origin) return
  if (url.pathname === '/config.json') event.respondWith(newestConfig(request))
  else event.respondWith(kept(request, request.mode === 'navigate' ? '/' : url.pathname))
})

async function keepAll() {
  const cache = await caches.open(cacheName)
  await cache.addAll(files.map((file) => new Request(file, { cache: 'reload' })))
  // Not every server has one, and the app does without.
  await cache.add('/config.json').catch(() => undefined)
}

async function dropOthers() {
  const names = await caches.keys()
  const old = names.filter((name) => name.startsWith('atlas-') && name !== cacheName)
  await Promise.all(old.map((name) => caches.delete(name)))
}

async function kept(request, path) {
  const cache = await caches.open(cacheName)
  return (await cache.match(path)) ?? fetch(request)
}

/** Where to sync may change between two starts of the server, so it is asked for; without it, the last answer holds. */
async function newestConfig(request) {
  const cache = await caches.open(cacheName)
  try {
    const answer = await fetch(request, { cache: 'no-store' })
    if (answer.ok) await cache.put('/config.json', answer.clone())
    return answer
  } catch {
    return (await cache.match('/config.json')) ?? Response.json({})
  }
}
