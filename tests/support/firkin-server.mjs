// The replication server as a process, as people run it.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const built = fileURLToPath(new URL('../../target/release/firkin-server', import.meta.url))
const binary = process.env.FIRKIN_SERVER_BIN ?? built

/**
 * Starts it on a free port, or on `port`, over the folder `data`, for pages of `origin`. It is open to anyone, or to
 * `admin` (`name:password`) only. With `tls`, `{ cert, key }`, it speaks HTTPS.
 */
export async function startFirkinServer({ data, origin, port = 0, admin, tls }) {
  const access = admin === undefined ? ['--open'] : ['--admin', admin]
  const parameters = ['--listen', `127.0.0.1:${port}`, '--data', data, ...access, '--cors', origin]
  if (tls !== undefined) parameters.push('--tls-cert', tls.cert, '--tls-key', tls.key)
  const child = spawn(binary, parameters, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const url = await new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
      const found = /listening on (\S+)/.exec(text)
      if (found) resolve(found[1])
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${binary} ended with ${code}: ${text}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return { url, stop }
}

/** How many feeds a server that is open to anyone holds open. */
export async function feedsHeld({ url }) {
  const metrics = await (await fetch(`${url}/_metrics`)).text()
  return Number(/^firkin_feeds (\d+)$/m.exec(metrics)[1])
}
