// `scripts/up.sh`, as `make up` runs it: a demo that can sync from the first moment, and ends when it is told to.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../scripts/up.sh', import.meta.url))
const PATIENCE_MS = 20_000

/** A port that is taken until the test ends, or until `release` is called. */
async function takePort(t) {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const release = () => new Promise((resolve) => server.close(resolve))
  t.after(release)
  return { port: server.address().port, release }
}

async function freePort(t) {
  const { port, release } = await takePort(t)
  await release()
  return port
}

/** The script under way: what it has said, and its exit status once it has ended. */
function startUp(t, { demoPort, serverPort, data }) {
  const env = { ...process.env, DEMO_PORT: `${demoPort}`, SERVER_PORT: `${serverPort}`, FIRKIN_DATA: data }
  const child = spawn(script, [], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const up = { child, said: '', ended: once(child, 'exit').then(([status]) => status) }
  const hear = (chunk) => {
    up.said += chunk
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  t.after(async () => {
    child.kill('SIGTERM')
    await up.ended
  })
  return up
}

async function dataFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), 'firkin-up-'))
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

async function says(up, pattern) {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  while (!pattern.test(up.said)) {
    assert.equal(up.child.exitCode, null, `ended: ${up.said}`)
    await once(up.child.stdout, 'data', { signal })
  }
}

test('a fresh start serves the demo and the database that it syncs with; SIGTERM ends both', async (t) => {
  const [demoPort, serverPort, data] = [await freePort(t), await freePort(t), await dataFolder(t)]
  // The second time, the database is there already.
  for (const time of ['first', 'second']) {
    const up = startUp(t, { demoPort, serverPort, data })
    await says(up, /Atlas is at http/)
    const page = await fetch(`http://127.0.0.1:${demoPort}/`)
    assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html;charset=utf-8'], time)
    const { sync } = await (await fetch(`http://127.0.0.1:${demoPort}/config.json`)).json()
    assert.equal(sync, `http://127.0.0.1:${serverPort}/atlas`)
    for (const origin of [`http://localhost:${demoPort}`, `http://127.0.0.1:${demoPort}`]) {
      const { status, headers } = await fetch(sync, { headers: { origin } })
      assert.deepEqual([status, headers.get('access-control-allow-origin')], [200, origin], time)
    }
    const start = performance.now()
    up.child.kill('SIGTERM')
    assert.equal(await up.ended, 0, up.said)
    assert.ok(performance.now() - start < 5000, 'it takes too long to end')
    for (const port of [demoPort, serverPort]) await assert.rejects(fetch(`http://127.0.0.1:${port}/`), TypeError)
  }
})

test('a port that is in use is told in plain words, with what names another, and nothing goes on', async (t) => {
  const [{ port: taken }, free] = [await takePort(t), await freePort(t)]
  const withoutDemo = startUp(t, { demoPort: taken, serverPort: free, data: await dataFolder(t) })
  assert.equal(await withoutDemo.ended, 1)
  assert.match(withoutDemo.said, new RegExp(`Port ${taken} is in use.* DEMO_PORT`))
  assert.doesNotMatch(withoutDemo.said, /EADDRINUSE|\n\s+at /)
  await assert.rejects(fetch(`http://127.0.0.1:${free}/`), TypeError)
  const withoutServer = startUp(t, { demoPort: free, serverPort: taken, data: await dataFolder(t) })
  assert.equal(await withoutServer.ended, 1)
  assert.match(withoutServer.said, new RegExp(`did not start. If port ${taken} is in use, SERVER_PORT`))
  await assert.rejects(fetch(`http://127.0.0.1:${free}/`), TypeError)
})
