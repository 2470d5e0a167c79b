// Each adapter with its library, bundled by Vite as an app would be, and what of that a page loads.

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const adaptersFolder = fileURLToPath(new URL('./adapters', import.meta.url))

/** The names of all adapters: their files' names. */
export async function adapterNames() {
  const files = await readdir(adaptersFolder)
  return files.filter((file) => file.endsWith('.mjs')).map((file) => file.slice(0, -'.mjs'.length))
}

/** Bundles an adapter into `folder/NAME/`. */
export async function bundle(name, folder) {
  const outDir = join(folder, name)
  await rm(outDir, { recursive: true, force: true })
  await build({
    root: adaptersFolder,
    base: `/bundles/${name}/`,
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    worker: { format: 'es' },
    build: {
      outDir,
      emptyOutDir: false,
      target: 'esnext',
      modulePreload: false,
      assetsInlineLimit: 0,
      reportCompressedSize: false,
      chunkSizeWarningLimit: 10_000,
      rolldownOptions: {
        input: join(adaptersFolder, `${name}.mjs`),
        preserveEntrySignatures: 'allow-extension',
        output: { entryFileNames: 'adapter.js' },
      },
    },
  })
}

/** What files of a bundle weigh compressed. */
export async function gzipBytes(folder, files) {
  const sizes = await Promise.all(
    files.map(async (file) => gzipSync(await readFile(join(folder, file)), { level: 9 }).length),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
