import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { serviceWorker } from './build/service-worker.mjs'

const collection = readFileSync(fileURLToPath(new URL('public/data/countries.json', import.meta.url)))
const edition = createHash('sha256').update(collection).digest('hex').slice(0, 12)

export default defineConfig({
  plugins: [serviceWorker()],
  define: { __EDITION__: JSON.stringify(edition) },
  // The engine's worker is a module that fetches its .wasm by a URL relative to itself.
  worker: { format: 'es' },
  optimizeDeps: { exclude: ['firkin'] },
  build: { target: 'es2022', assetsInlineLimit: 0 },
})
