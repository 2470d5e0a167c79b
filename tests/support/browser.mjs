// Chromium with a profile of its own, and pages in it that hold Firkin.

import { setTimeout } from 'node:timers/promises'
import { chromium } from 'playwright-core'

/** What Chromium is started with where there is no network and no graphics card. */
export const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A browser process whose profile is `folder`; what it stores outlives `context.close()`. `more` are flags for it. */
export function launchProfile(folder, more = []) {
  const args = [...flags, ...more]
  return chromium.launchPersistentContext(folder, { executablePath: '/usr/bin/chromium', args, headless: true })
}

/** A page of `origin` (see static-server.mjs) whose `window.Firkin` is the library. */
export async function openPage(context, origin) {
  const page = await context.newPage()
  page.on('pageerror', (error) => console.error(`a page failed: ${error.stack}`))
  await page.goto(`${origin}/page`)
  await loadFirkin(page)
  return page
}

/** Loads the library into the page: again, after a reload. */
export async function loadFirkin(page) {
  await page.evaluate(async () => {
    const { Firkin } = await import('/dist/index.js')
    window.Firkin = Firkin
  })
}

/**
 * Runs the function in the page until it answers true. (`waitForFunction` takes the promise of an async function for true.)
 * Fails after `patience_ms`.
 */
export async function eventually(page, holds, argument, patience_ms = 20_000) {
  const deadline = Date.now() + patience_ms
  while (!(await page.evaluate(holds, argument))) {
    if (Date.now() > deadline) throw new Error(`did not come true within ${patience_ms} ms: ${holds}`)
    await setTimeout(25)
  }
}
