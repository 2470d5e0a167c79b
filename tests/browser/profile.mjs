// One browser profile and one origin for the tests of a file, taken away after them.

import { mkdtemp, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { launchProfile, openPage } from '../support/browser.mjs'
import { serveStatic } from '../support/static-server.mjs'

/** Sets up what `profile.open()` needs before the tests of a file; `added` and `more` as in static-server.mjs. */
export function useProfile(added = {}, more = {}) {
  const profile = { folder: '', origin: '', context: undefined }
  /** A page in which `window.Firkin` is the library. */
  profile.open = async () => {
    await started
    return openPage(profile.context, profile.origin)
  }
  /**
   * The browser's process dies at once, as if killed by the system, and a new one starts over what it left, and over what
   * `between` has made of that.
   */
  profile.killAndStart = async (between = async () => {}) => {
    const pid = Number((await readlink(join(profile.folder, 'SingletonLock'))).split('-').at(-1))
    const gone = new Promise((resolve) => profile.context.once('close', resolve))
    process.kill(pid, 'SIGKILL')
    await gone
    await between()
    profile.context = await startAgain(profile.folder)
  }
  // Hooks of one file may run side by side: one that opens a page waits for this.
  const started = start()
  before(() => started)
  async function start() {
    profile.folder = await mkdtemp(join(tmpdir(), 'firkin-profile-'))
    const { origin, stop } = await serveStatic(added, more)
    Object.assign(profile, { origin, stop, context: await launchProfile(profile.folder) })
  }
  after(async () => {
    await profile.context?.close()
    await profile.stop?.()
    await rm(profile.folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return profile
}

/** The children of a browser that was killed hold on to its profile for a moment. */
async function startAgain(folder, attempts = 20) {
  try {
    return await launchProfile(folder)
  } catch (error) {
    if (attempts === 0) throw error
    await pause(100)
    return startAgain(folder, attempts - 1)
  }
}
