// A web server for the pages of a test: the npm package as built, an empty page, and whatever the test adds.
//
// It listens on a loopback port of its own, so that each server is an origin of its own.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const packageFolder = fileURLToPath(new URL('../../js', import.meta.url))
const emptyPage =
  '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Firkin</title></html>'
const types = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' }

/** Serves `js/` at `/`, the empty page at `/page`, and each of `added` (`{ '/path': value }`): as JSON, or as a script of a path that ends in `.js`. */
export async function serveStatic(added = {}) {
  const server = createServer((request, response) => {
    answer(new URL(request.url, 'http://localhost').pathname, added).then(
      ([type, body]) => response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { origin: `http://127.0.0.1:${server.address().port}`, stop }
}

async function answer(path, added) {
  if (path === '/page') return ['text/html', emptyPage]
  if (path in added)
    return path.endsWith('.js') ? [types['.js'], added[path]] : [types['.json'], JSON.stringify(added[path])]
  const file = normalize(decodeURIComponent(path))
  return [types[extname(file)] ?? 'application/octet-stream', await readFile(join(packageFolder, file))]
}
