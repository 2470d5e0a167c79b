// Serves the built app: node demo/serve.mjs [--port N] [--sync URL]
//
// The page asks for /config.json to learn which database it syncs with unless the person names another; that is all there
// is to the server. PORT and FIRKIN_SERVER in the environment mean the same as the options; a server's address without a
// database's name means its database `atlas`.

import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sirv from 'sirv'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: process.env.PORT ?? '8080' },
    sync: { type: 'string', default: process.env.FIRKIN_SERVER ?? '' },
  },
})

const folder = fileURLToPath(new URL('dist', import.meta.url))
if (!existsSync(folder)) {
  console.error('Nothing is built yet: run `npm run build -w demo` first.')
  process.exit(1)
}

const headers = {
  'content-security-policy': [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    // The sync server is the person's choice.
    "connect-src 'self' http: https:",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

const files = sirv(folder, {
  etag: true,
  setHeaders(response, path) {
    const immutable = path.startsWith('/assets/')
    response.setHeader('cache-control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  },
})

const config = JSON.stringify({ sync: databaseUrl(values.sync) })

const server = createServer((request, response) => {
  if (request.url === '/config.json') {
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(config)
    return
  }
  files(request, response, () => response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n'))
})

server.on('error', ({ code, message }) => {
  const taken = `Port ${values.port} is in use. DEMO_PORT (with make up) or --port names another.`
  console.error(code === 'EADDRINUSE' ? taken : `The demo cannot be served: ${message}`)
  process.exit(1)
})

server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`Atlas is at http://localhost:${server.address().port}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    server.closeAllConnections()
    server.close(() => process.exit(0))
  })
}

function databaseUrl(text) {
  if (text === '') return ''
  const url = new URL(text)
  if (url.pathname === '/') url.pathname = '/atlas'
  return url.href
}
