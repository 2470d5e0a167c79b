// What the browser's processes cost, as Linux counts it in /proc: CPU time and memory, of all of them and by thread.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

// What sysconf(_SC_CLK_TCK) answers on every Linux that Chromium runs on.
const tick_ms = 10

/** The process that a profile's browser started with. */
export const browserProcess = (profile) => Number(readlinkSync(join(profile, 'SingletonLock')).split('-').at(-1))

/** The process `root` and all that descend from it. */
export function processTree(root) {
  const children = new Map()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = statOf(pid)?.parent
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(pid)])
  }
  const tree = []
  const visit = (pid) => {
    tree.push(pid)
    for (const child of children.get(pid) ?? []) visit(child)
  }
  visit(root)
  return tree
}

/** CPU time so far, by process, and by thread (which Linux counts more finely, but only for threads that are alive). */
export function cpuNow(root) {
  const now = new Map()
  for (const pid of processTree(root)) {
    const stat = statOf(pid)
    if (stat !== undefined) now.set(pid, { kind: kindOf(pid), cpu_ms: stat.ticks * tick_ms, threads: threadsOf(pid) })
  }
  return now
}

/**
 * What was used between two moments: of all processes, and of that the page's main thread, its workers, the rest of the
 * page's process (garbage collection, compilation, messages), and the browser's other processes (IndexedDB, files).
 */
export function cpuBetween(before, after) {
  const used = { total_ms: 0, page_ms: 0, workers_ms: 0, helpers_ms: 0, browser_ms: 0 }
  for (const [pid, now] of after) {
    const process = processBetween(pid, before.get(pid), now)
    for (const [part, ms] of Object.entries(process)) {
      used[part] += ms
      used.total_ms += ms
    }
  }
  return used
}

function processBetween(pid, earlier, { kind, cpu_ms, threads }) {
  const parts = { page_ms: 0, workers_ms: 0, helpers_ms: 0, browser_ms: 0 }
  let known_ms = 0
  for (const [thread, { name, run_ms }] of threads) {
    const thread_ms = run_ms - (earlier?.threads.get(thread)?.run_ms ?? 0)
    parts[partOf(kind, thread === pid, name)] += thread_ms
    known_ms += thread_ms
  }
  // Threads that have ended are only in the count of the process, which goes in ticks.
  const ended_ms = cpu_ms - (earlier?.cpu_ms ?? 0) - known_ms
  if (ended_ms > 2 * tick_ms) parts[partOf(kind, false, '')] += ended_ms
  return parts
}

function partOf(kind, isMain, name) {
  if (kind !== 'renderer') return 'browser_ms'
  if (isMain) return 'page_ms'
  return name.startsWith('DedicatedWorker') ? 'workers_ms' : 'helpers_ms'
}

/** The process of the page, which is kept busy between the two moments: its main thread has used the most. */
export function rendererBetween(before, after) {
  const used = [...after]
    .filter(([, { kind }]) => kind === 'renderer')
    .map(([pid, now]) => [pid, mainRun_ms(pid, now) - mainRun_ms(pid, before.get(pid))])
  return used.sort(([, left], [, right]) => right - left)[0][0]
}

const mainRun_ms = (pid, process) => process?.threads.get(pid)?.run_ms ?? 0

/** Of a process: memory that is its own now, and the most that it had resident, in bytes. */
export function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return { private_bytes: kilobytes(status, 'RssAnon'), peak_bytes: kilobytes(status, 'VmHWM') }
}

const kilobytes = (status, name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024

/** Nothing, of a process that has ended meanwhile. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }
  } catch {
    return undefined
  }
}

function threadsOf(pid) {
  const threads = new Map()
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim()
      const run_ns = Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
      threads.set(Number(thread), { name, run_ms: run_ns / 1e6 })
    }
  } catch {
    // A thread, or the process, ended while it was looked at.
  }
  return threads
}

function kindOf(pid) {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return /--type=([a-z-]+)/.exec(command)?.[1] ?? 'browser'
  } catch {
    return 'ended'
  }
}
