// PouchDB as people use it in Node, and as a server: PouchDB Server's own middleware over databases in memory.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import expressPouchDB from 'express-pouchdb'
import httpAdapter from 'pouchdb-adapter-http'
import memoryAdapter from 'pouchdb-adapter-memory'
import PouchDB from 'pouchdb-core'
import replication from 'pouchdb-replication'

PouchDB.plugin(memoryAdapter).plugin(httpAdapter).plugin(replication)

export { PouchDB }

/** Starts a server on a free port for pages of `origin`. */
export async function startPouchServer({ origin }) {
  const folder = await mkdtemp(join(tmpdir(), 'pouchdb-server-'))
  const application = express()
  application.use((request, response, next) => {
    response.set({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': 'accept, content-type',
      'access-control-allow-methods': 'GET, PUT, POST, DELETE',
    })
    if (request.method === 'OPTIONS') response.sendStatus(204)
    else next()
  })
  const settings = { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: join(folder, 'log.txt') }
  application.use('/', expressPouchDB(PouchDB.defaults({ adapter: 'memory' }), settings))
  const server = application.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true, force: true })
  }
  return { url: `http://127.0.0.1:${server.address().port}`, stop }
}
