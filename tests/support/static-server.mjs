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
const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
}

/**
 * Serves `js/` at `/`, the empty page at `/page`, and each of `added` (`{ '/path': value }`): as JSON, or as the text of a
 * path that ends in `.js` or `.html`. More `folders` are `{ '/prefix/': folder }`, more `headers` go with every answer, and
 * `asked(path)` is called for every request.
 */
export async function serveStatic(added = {}, { folders = {}, headers = {}, asked = () => {} } = {}) {
  const places = { ...folders, '/': packageFolder }
  const common = { 'cache-control': 'no-store', ...headers }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    asked(pathname)
    answer(pathname, added, places).then(
      ([type, body]) => response.writeHead(200, { 'content-type': type, ...common }).end(body),
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

async function answer(path, added, places) {
  if (path === '/page') return [types['.html'], emptyPage]
  if (path in added) return addedAnswer(path, added[path])
  const prefix = Object.keys(places).find((one) => path.startsWith(one))
  const file = normalize(decodeURIComponent(path.slice(prefix.length - 1)))
  return [types[extname(file)] ?? 'application/octet-stream', await readFile(join(places[prefix], file))]
}

function addedAnswer(path, value) {
  const type = types[extname(path)]
  return type === types['.js'] || type === types['.html'] ? [type, value] : [types['.json'], JSON.stringify(value)]
}
