// Modules of the app's source, for tests that run in Node: Vite loads them as it does for the browser.

import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

/** Loads modules by their paths, such as `/src/data/tree.ts`. */
export async function loadSource(...paths) {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const server = await createServer({
    root,
    configFile: false,
    appType: 'custom',
    logLevel: 'error',
    server: { middlewareMode: true, ws: false },
  })
  try {
    return await Promise.all(paths.map((path) => server.ssrLoadModule(path)))
  } finally {
    await server.close()
  }
}
