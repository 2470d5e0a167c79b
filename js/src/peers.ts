// Whom a replication is with: a server, another database of this page, or what is at the other end of a port.
//
// A peer that is no server gets a URL of its own all the same, by which checkpoints know it: it holds the identity of the peer's
// database, and nobody else answers there.

import { type Connection, connectionOf } from './connection.js'
import { badRequest } from './errors.js'
import type { Fetch } from './exchanges.js'
import type { FramePort } from './frames.js'
import { NOWHERE } from './names.js'
import type { Peer, ReplicationOptions } from './replication-types.js'
import type { Info } from './types.js'

/** The way to a peer; without `fetch` it is the browser's own, where the engine runs. */
export interface Way {
  url: string
  fetch?: Fetch | undefined
  close?(): void
}

/** For how long the other end of a port may say nothing. */
const SILENT_MS_MAX = 60_000

/** The way to `peer`, for a replication with these options, until `signal` is aborted. */
export async function wayTo(
  peer: Peer,
  own: Connection,
  { fetch, retry }: ReplicationOptions,
  signal: AbortSignal,
): Promise<Way> {
  if (typeof peer === 'string' || peer instanceof URL) return { url: String(peer), fetch }
  const connection = connectionOf(peer)
  if (connection !== undefined) return wayWithin(connection, own)
  if (isPort(peer))
    return wayOver(peer, own, retry ? signal : AbortSignal.any([signal, AbortSignal.timeout(SILENT_MS_MAX)]))
  throw badRequest('a peer is the URL of a database, a Firkin, or a MessagePort')
}

/** To another database of this page. */
async function wayWithin(connection: Connection, own: Connection): Promise<Way> {
  const { answer } = await import('./passive.js')
  const { identity } = (await connection.call('info', {})) as Info
  const url = await urlOf(identity, own)
  const fetch: Fetch = async (asked, { method = 'GET', headers, body, signal }) =>
    answer(connection, {
      method,
      path: asked.slice(url.length).replace(/^\//, ''),
      contentType: new Headers(headers).get('content-type') ?? undefined,
      body: body == null ? undefined : await new Response(body).blob(),
      signal: signal ?? undefined,
    })
  return { url, fetch }
}

/** To the database that is served at the other end of a port. */
async function wayOver(port: FramePort, own: Connection, signal: AbortSignal): Promise<Way> {
  const { fetchOver } = await import('./port-peer.js')
  const asking = fetchOver(port, NOWHERE)
  try {
    const response = await asking(NOWHERE, { signal })
    const url = await urlOf(((await response.json()) as { uuid: string }).uuid, own)
    return { url, ...over(fetchOver(port, url)) }
  } finally {
    asking.close()
  }
}

const over = (fetch: Fetch & { close(): void }) => ({ fetch, close: () => fetch.close() })

async function urlOf(identity: string, own: Connection): Promise<string> {
  const { identity: mine } = (await own.call('info', {})) as Info
  if (identity === mine) throw badRequest('a database is not replicated with itself')
  return `${NOWHERE}/${encodeURIComponent(identity)}`
}

function isPort(peer: object): peer is FramePort {
  return typeof (peer as Partial<FramePort> | null)?.postMessage === 'function'
}
