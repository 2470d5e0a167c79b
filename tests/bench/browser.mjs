// A browser process for one database, and what each piece of work costs in it.
//
// Each piece has a time bound. A browser that is over it, or that does not close, is killed: by the number of the process
// that was started here, and of those that descend from it.

import { setTimeout as pause } from 'node:timers/promises'
import { launchProfile } from '../support/browser.mjs'
import { browserProcess, cpuBetween, cpuNow, memoryOf, processTree, rendererBetween } from './processes.mjs'

// Without it the browser measures memory when it pleases.
const flags = ['--enable-blink-features=ForceEagerMeasureMemory']
/**
 * What is waited for: after its start a browser is busy with itself, which would fall on whoever comes first; after each
 * piece of work a database may go on in the background, which is counted as its CPU time.
 */
export const paces = { measured: { calm_ms: 1000, settle_ms: 200 }, hurried: { calm_ms: 0, settle_ms: 0 } }

export class Browser {
  #context
  #process
  #site
  #pace
  #page

  static async start(profile, site, pace) {
    const browser = new Browser()
    browser.#context = await launchAgain(profile)
    browser.#process = browserProcess(profile)
    browser.#site = site
    browser.#pace = pace
    await pause(pace.calm_ms)
    return browser
  }

  /** Opens the page of a database; `parameters` as page/main.mjs says. */
  async open(parameters, bound_ms) {
    const asked = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined))
    const before = cpuNow(this.#process)
    this.#page = await this.#context.newPage()
    let failed
    this.#page.on('pageerror', (error) => {
      failed = error
    })
    await this.#page.goto(`${this.#site.origin}/bench.html?${asked}`, { timeout: bound_ms })
    await this.#page.waitForFunction(() => window.bench !== undefined, undefined, { timeout: bound_ms })
    const opened = await within(
      bound_ms,
      'opening',
      this.#page.evaluate(async () => {
        const { about, cold } = await window.bench
        return { about, cold }
      }),
    ).catch((error) => {
      throw failed ?? error
    })
    return { ...opened, cpu: await this.#cpuSince(before) }
  }

  can(name) {
    return this.#page.evaluate(async (asked) => (await window.bench).can(asked), name)
  }

  /**
   * Runs a workload in the page: `{ wall_ms, cpu, answers }`. Neither its preparation nor the looking at its answers is in
   * these times.
   */
  async run(name, parameters, bound_ms) {
    await this.tell('prepare', [name, parameters], bound_ms)
    const before = cpuNow(this.#process)
    const run = this.#page.evaluate(async () => (await window.bench).run())
    const wall_ms = await within(bound_ms, name, run)
    const cpu = await this.#cpuSince(before)
    const answers = await this.#page.evaluate(async () => (await window.bench).answers())
    return { wall_ms, cpu, answers }
  }

  /** Calls `prepare` of the page, or `open`, `close` or `destroy` of the adapter, untimed. */
  tell(name, parameters, bound_ms) {
    const call = ([asked, given]) => window.bench.then((bench) => bench[asked](...given)).then(() => undefined)
    return within(bound_ms, name, this.#page.evaluate(call, [name, parameters]))
  }

  get workers() {
    return this.#page.workers()
  }

  /**
   * What the browser itself counts for the page and its workers (JavaScript's heaps, without the memory of WebAssembly), after
   * a collection of garbage, and what the page's process holds.
   */
  async memory(bound_ms) {
    const measure = this.#page.evaluate(async () => (await performance.measureUserAgentSpecificMemory()).bytes)
    const told_bytes = await within(bound_ms, 'memory', measure)
    return { told_bytes, ...memoryOf(await this.#renderer()) }
  }

  async peakMemory() {
    return memoryOf(await this.#renderer()).peak_bytes
  }

  /** The page's process. A browser has others, for its first tab and for the next; the page's is the one that it can keep busy. */
  async #renderer() {
    const before = cpuNow(this.#process)
    await this.#page.evaluate(() => {
      const end = performance.now() + 60
      while (performance.now() < end);
    })
    return rendererBetween(before, cpuNow(this.#process))
  }

  /** What the machine gives now, asked by a page of another origin, which leaves nothing in this one's storage. */
  async calibrate(bound_ms) {
    const page = await this.#context.newPage()
    await page.goto(`${this.#site.origin.replace('127.0.0.1', 'localhost')}/blank.html`)
    const calibrate = page.evaluate(async () => (await import('/bench/page/calibration.mjs')).calibrate())
    const result = await within(bound_ms, 'calibration', calibrate)
    await page.close()
    return result
  }

  async close() {
    const processes = processTree(this.#process)
    try {
      await within(15_000, 'closing the browser', this.#context.close())
    } catch {
      for (const pid of processes) killed(pid)
    }
  }

  async #cpuSince(before) {
    await pause(this.#pace.settle_ms)
    return cpuBetween(before, cpuNow(this.#process))
  }
}

/** The children of a browser that has just ended may hold on to its profile for a moment. */
async function launchAgain(profile, attempts = 20) {
  try {
    return await launchProfile(profile, flags)
  } catch (error) {
    if (attempts === 0) throw error
    await pause(100)
    return launchAgain(profile, attempts - 1)
  }
}

async function within(bound_ms, what, work) {
  const timer = new AbortController()
  const late = pause(bound_ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what}: not done within ${bound_ms / 1000} s`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}

function killed(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
