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
  for (const [pid, { kind, cpu_ms, threads }] of after) {
    const earlier = before.get(pid)
    const process_ms = cpu_ms - (earlier?.cpu_ms ?? 0)
    used.total_ms += process_ms
    if (kind !== 'renderer') used.browser_ms += process_ms
    else {
      let known_ms = 0
      for (const [thread, { name, run_ms }] of threads) {
        const thread_ms = run_ms - (earlier?.threads.get(thread)?.run_ms ?? 0)
        const part = thread === pid ? 'page_ms' : name.startsWith('DedicatedWorker') ? 'workers_ms' : undefined
        if (part === undefined) continue
        used[part] += thread_ms
        known_ms += thread_ms
      }
      used.helpers_ms += Math.max(0, process_ms - known_ms)
    }
  }
  return used
}

/** Of the page's process: memory that is its own now, and the most that it had resident, in bytes. */
export function rendererMemory(root) {
  const renderers = processTree(root)
    .filter((pid) => kindOf(pid) === 'renderer')
    .map((pid) => readFileSync(`/proc/${pid}/status`, 'utf8'))
    .map((status) => ({ private_bytes: kilobytes(status, 'RssAnon'), peak_bytes: kilobytes(status, 'VmHWM') }))
  // A spare process for the next page may be there: the page's is the larger one.
  return renderers.sort((left, right) => right.private_bytes - left.private_bytes)[0]
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
