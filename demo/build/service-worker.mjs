// A step of the build: writes the service worker with the list of all files that were built, and their version.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

export function serviceWorker() {
  let root
  let output
  return {
    name: 'atlas-service-worker',
    apply: 'build',
    configResolved(config) {
      root = config.root
      output = join(config.root, config.build.outDir)
    },
    closeBundle() {
      const source = readFileSync(join(root, 'service-worker.js'), 'utf8')
      const paths = readdirSync(output, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== 'service-worker.js' && !entry.name.endsWith('.map'))
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
      const hash = createHash('sha256').update(source)
      for (const path of paths) hash.update(relative(output, path)).update(readFileSync(path))
      const files = paths.map((path) =>
        `/${relative(output, path).split(sep).join('/')}`.replace(/\/index\.html$/, '/'),
      )
      const text = source
        .replace('__VERSION__', JSON.stringify(hash.digest('hex').slice(0, 12)))
        .replace('__FILES__', JSON.stringify(files))
      writeFileSync(join(output, 'service-worker.js'), text)
    },
  }
}
