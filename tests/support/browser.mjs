// Chromium with a profile of its own, and pages in it that hold Firkin.

import { chromium } from 'playwright-core'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A browser process whose profile is `folder`; what it stores outlives `context.close()`. */
export function launchProfile(folder) {
  return chromium.launchPersistentContext(folder, { executablePath: '/usr/bin/chromium', args: flags, headless: true })
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
