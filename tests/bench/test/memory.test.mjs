import assert from 'node:assert/strict'
import { test } from 'node:test'
import { barBytes, measureMemory } from '../memory.mjs'

test('the memory of the module is told after each piece of work, never shrinks, and is that of a database that answers', async () => {
  const rows = await measureMemory(3000)
  const [opened, written, used, ...again] = rows.map(({ bytes }) => bytes)
  assert.equal(again.length, 2)
  assert.ok(opened > 0 && opened <= written && written <= used && again[0] <= again[1], JSON.stringify(rows))
  assert.ok(
    rows.every(({ bytes }) => bytes % 65_536 === 0 && bytes < barBytes),
    JSON.stringify(rows),
  )
})
