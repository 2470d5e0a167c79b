// By what names the engine knows clients, their calls, and peers that are no servers.

import type { Call } from './messages.js'

/** Nobody has a server under this name (RFC 2606): peers that are no servers have URLs below it. */
export const NOWHERE = 'https://peer.invalid'

/** The name of a call: the client, the slot of a write, and its number. */
export function nameOf(client: string, { id, request }: Call): string {
  return `${recordName(client)} ${request?.slot ?? 0} ${Math.abs(id) % 2 ** 32}`
}

/** The name of a client in the engine's records: it is a UUID, of which the beginning is enough. */
export function recordName(client: string): string {
  return client.replaceAll('-', '').slice(0, 16)
}
