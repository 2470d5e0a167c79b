// The web site that the pages of the bench come from: an origin of its own for each run.
//
// Pages are isolated from other origins: only then is the clock fine (5 microseconds), and the browser tells what memory a
// page and its workers hold. Files may be cached, as those of an app are.

import { fileURLToPath } from 'node:url'
import { serveStatic } from '../support/static-server.mjs'

const page = (script) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Bench</title><script type="module" src="/bench/${script}"></script></html>`

const headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': 'public, max-age=3600',
}

/** Serves the pages and the bundles; `loaded()` lists the files of bundles that have been asked for since it was last called. */
export async function serveBench(bundlesFolder) {
  const paths = new Set()
  const asked = (path) => {
    if (path.startsWith('/bundles/')) paths.add(path.slice('/bundles/'.length))
  }
  const folders = { '/bench/': fileURLToPath(new URL('.', import.meta.url)), '/bundles/': bundlesFolder }
  const pages = { '/bench.html': page('page/main.mjs'), '/blank.html': page('page/calibration.mjs') }
  const { origin, stop } = await serveStatic(pages, { folders, headers, asked })
  const loaded = () => {
    const files = [...paths]
    paths.clear()
    return files
  }
  return { origin, loaded, stop }
}
