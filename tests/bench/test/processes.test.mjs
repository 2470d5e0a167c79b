// What is made of Linux's counts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuBetween, cpuNow, memoryOf, processTree, rendererBetween } from '../processes.mjs'

const threads = (times) => new Map(times.map(([thread, name, run_ms]) => [thread, { name, run_ms }]))
const counted = (kind, cpu_ms, times) => ({ kind, cpu_ms, threads: threads(times) })

test("time goes to the page's main thread, its workers, the rest of its process, and other processes", () => {
  const before = new Map([
    [1, counted('browser', 100, [[1, 'chromium', 100]])],
    [
      2,
      counted('renderer', 50, [
        [2, 'chromium', 30],
        [3, 'DedicatedWorker', 20],
      ]),
    ],
  ])
  const after = new Map([
    [1, counted('browser', 110, [[1, 'chromium', 110]])],
    [
      2,
      counted('renderer', 130, [
        [2, 'chromium', 60],
        [3, 'DedicatedWorker', 60],
        [4, 'ThreadPoolForeg', 5],
      ]),
    ],
  ])
  const parts = { page_ms: 30, workers_ms: 40, helpers_ms: 5, browser_ms: 10 }
  assert.deepEqual(cpuBetween(before, after), { total_ms: 85, ...parts })
  assert.equal(rendererBetween(before, after), 2)
})

test('what a thread used that has ended since is told by the count of its process, a process that is new by its own', () => {
  const before = new Map([[2, counted('renderer', 0, [[2, 'chromium', 0]])]])
  const after = new Map([
    [2, counted('renderer', 100, [[2, 'chromium', 10]])],
    [5, counted('utility', 10, [[5, 'chromium', 12]])],
  ])
  const { page_ms, helpers_ms, browser_ms, total_ms } = cpuBetween(before, after)
  assert.deepEqual([page_ms, helpers_ms, browser_ms, total_ms], [10, 90, 12, 112])
})

test('this process is read from the system', () => {
  assert.ok(processTree(process.pid).includes(process.pid))
  assert.ok(memoryOf(process.pid).private_bytes > 0)
  const before = cpuNow(process.pid)
  const end = performance.now() + 60
  while (performance.now() < end);
  assert.ok(cpuBetween(before, cpuNow(process.pid)).total_ms > 0)
})
