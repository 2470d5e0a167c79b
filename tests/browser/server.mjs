// The replication server that the tests of a file talk to, over a folder of its own, and a gate in front of it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { startFirkinServer } from '../support/firkin-server.mjs'
import { startGate } from '../support/gate.mjs'

/** Sets up `{ server, gate }` before the tests of a file, for the pages of `profile`, and takes it away after them. */
export function useGatedServer(profile) {
  const around = { server: undefined, gate: undefined }
  let folder
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'firkin-server-'))
    await profile.open()
    around.server = await startFirkinServer({ data: folder, origin: profile.origin })
    around.gate = await startGate(around.server.url, { origin: profile.origin })
  })
  after(async () => {
    await around.gate?.stop()
    await around.server?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return around
}
