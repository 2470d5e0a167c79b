// The server that databases replicate from: firkin-server as a process of its own, with a database for each who asks.

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { documentsOf, idOf } from './documents.mjs'

/** Documents of one request. */
const batch = 1000

/** Starts it over a folder of its own within `folder`, for pages of `origin`. */
export async function startServer(folder, origin) {
  const data = await mkdtemp(join(folder, 'server-'))
  const { url, stop } = await startFirkinServer({ data, origin })
  let databases = 0
  return {
    /** Makes a database of the first `docs` documents. */
    create: async (docs) => {
      databases += 1
      const database = `${url}/pulled-${databases}`
      await ask(database, { method: 'PUT' })
      for (let start = 0; start < docs; start += batch) {
        await store(database, documentsOf(start, Math.min(docs, start + batch)))
      }
      return { url: database, edit: (edits) => edit(database, edits) }
    },
    stop: async () => {
      await stop()
      await rm(data, { recursive: true, force: true })
    },
  }
}

async function edit(database, edits) {
  const keys = edits.map(({ number }) => idOf(number))
  const { rows } = await ask(`${database}/_all_docs?include_docs=true`, {
    method: 'POST',
    body: JSON.stringify({ keys }),
  })
  await store(
    database,
    rows.map(({ doc }, index) => ({ ...doc, ...edits[index].changes })),
  )
}

async function store(database, docs) {
  const rows = await ask(`${database}/_bulk_docs`, { method: 'POST', body: JSON.stringify({ docs }) })
  const refused = rows.find(({ error }) => error !== undefined)
  if (refused !== undefined) throw new Error(`the server refused ${JSON.stringify(refused)}`)
}

async function ask(url, request) {
  const response = await fetch(url, { ...request, headers: { 'content-type': 'application/json' } })
  if (!response.ok) throw new Error(`${request.method} ${url}: ${response.status} ${await response.text()}`)
  return response.json()
}
