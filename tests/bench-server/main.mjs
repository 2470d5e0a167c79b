// firkin-server beside express-pouchdb over LevelDB, in one run: `_bulk_docs` of 100 documents, paging through `_changes`, and
// the memory of an idle server. Both run as processes of their own over folders on the same disk, and take their turns.
// firkin-server has each write on the disk (fsync) before it answers; LevelDB, as PouchDB opens it, leaves that to the system.

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { documentsOf } from '../bench/documents.mjs'

const batches = 100
const batchDocuments = 100
const pageRows = 1000
const pagingRounds = 7

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const servers = {
  'firkin-server': (folder) => [
    path('../../target/release/firkin-server'),
    '--listen',
    '127.0.0.1:0',
    '--data',
    folder,
    '--open',
  ],
  'express-pouchdb': (folder) => [process.execPath, path('express-pouchdb.mjs'), folder],
}

async function start(name) {
  const folder = await mkdtemp(join(tmpdir(), 'firkin-bench-server-'))
  const [command, ...parameters] = servers[name](folder)
  const child = spawn(command, parameters, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, FIRKIN_LOG: 'error' },
  })
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      const found = /http:\S+/.exec(chunk)
      if (found) resolve(found[0])
    })
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)))
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  return { name, url, pid: child.pid, stop, bulk: [], paging: [] }
}

async function ask(url, method = 'GET', body = undefined) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) })
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`)
  return response.json()
}

async function residentMiB(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024
}

async function timed(work) {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function page(database) {
  let [since, rows] = [0, 0]
  for (;;) {
    const { results, last_seq } = await ask(`${database}/_changes?limit=${pageRows}&since=${encodeURIComponent(since)}`)
    if (results.length === 0) return rows
    since = last_seq
    rows += results.length
  }
}

const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1]

const running = []
try {
  for (const name of Object.keys(servers)) running.push(await start(name))
  for (const server of running) {
    await ask(`${server.url}/bench`, 'PUT')
    await ask(`${server.url}/bench`)
    server.idle = await residentMiB(server.pid)
  }
  for (let batch = 0; batch < batches; batch += 1) {
    const docs = documentsOf(batch * batchDocuments, (batch + 1) * batchDocuments)
    for (const server of running) {
      server.bulk.push(
        await timed(async () => {
          const rows = await ask(`${server.url}/bench/_bulk_docs`, 'POST', { docs })
          if (rows.length !== batchDocuments || rows.some(({ ok }) => !ok))
            throw new Error(`${server.name} refused a document`)
        }),
      )
    }
  }
  for (let round = 0; round < pagingRounds; round += 1) {
    for (const server of running) {
      server.paging.push(
        await timed(async () => {
          const rows = await page(`${server.url}/bench`)
          if (rows !== batches * batchDocuments) throw new Error(`${server.name} told ${rows} changes`)
        }),
      )
    }
  }
  console.log(
    `medians; ${batchDocuments} documents a _bulk_docs, ${batches * batchDocuments} changes in pages of ${pageRows}`,
  )
  for (const { name, bulk, paging, idle } of running) {
    console.log(
      `${name.padEnd(16)} _bulk_docs ${median(bulk).toFixed(1)} ms  _changes ${median(paging).toFixed(1)} ms  idle ${idle.toFixed(1)} MiB`,
    )
  }
  const [ours, theirs] = running
  const times = (what) => (median(theirs[what]) / median(ours[what])).toFixed(1)
  console.log(`firkin-server is ${times('bulk')} times as fast in _bulk_docs, ${times('paging')} times in _changes`)
} finally {
  for (const server of running) await server.stop()
}
