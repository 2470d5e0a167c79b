// Freezes a page of Chromium: its whole process is stopped by the system, wherever it is.

/**
 * The process that `page` runs in: the one that works while the page does. So it is to be asked for while no other page has
 * much to do.
 */
export async function processOf(page) {
  const before = await renderers(page)
  await page.evaluate(() => {
    const end = performance.now() + 400
    while (performance.now() < end);
  })
  const worked = [...(await renderers(page))].map(([id, time]) => [time - (before.get(id) ?? time), id])
  return worked.sort(([one], [other]) => other - one)[0][1]
}

/** Stops a process; the function returned lets it go on. */
export function freeze(id) {
  process.kill(id, 'SIGSTOP')
  return () => process.kill(id, 'SIGCONT')
}

/** The browser's processes that pages run in, with the time that each has worked. */
async function renderers(page) {
  const session = await page.context().browser().newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  await session.detach()
  return new Map(processInfo.filter(({ type }) => type === 'renderer').map(({ id, cpuTime }) => [id, cpuTime]))
}
