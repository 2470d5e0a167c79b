// Alice, Iko and Bob: three browser profiles, which share nothing but a server.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { launchProfile, openPage } from './browser.mjs'
import { startFirkinServer } from './firkin-server.mjs'
import { serveStatic } from './static-server.mjs'

const names = ['Alice', 'Iko', 'Bob']

/** Sets up what the tests of a file share before them: `server`, and `people` by their names, each with `context` and `page`; `added` as in static-server.mjs. */
export function usePeople(added = {}) {
  const shared = { server: undefined, people: {} }
  let folder
  let site
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'firkin-people-'))
    site = await serveStatic(added)
    shared.server = await startFirkinServer({ data: join(folder, 'server'), origin: site.origin })
    const started = names.map(async (name) => {
      const context = await launchProfile(join(folder, name))
      return { name, context, page: await openPage(context, site.origin) }
    })
    for (const person of await Promise.all(started)) shared.people[person.name] = person
  })
  after(async () => {
    for (const { context } of Object.values(shared.people)) await context.close()
    await shared.server?.stop()
    await site?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return shared
}
