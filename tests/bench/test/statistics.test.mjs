// Medians, ranges and the numbers as they are printed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, milliseconds, range, ratio, table } from '../report/format.mjs'
import { median, spread } from '../statistics.mjs'

test('a median is the middle value, or the mean of the two in the middle, whatever their order', () => {
  assert.equal(median([9, 1, 10]), 9)
  assert.equal(median([4, 1, 3, 2]), 2.5)
})

test('a spread leaves out what was not measured, and is nothing where nothing was', () => {
  assert.deepEqual(spread([3, undefined, 1]), { median: 2, low: 1, high: 3 })
  assert.equal(spread([undefined]), undefined)
})

test('numbers are printed with three digits at most below 100, and whole from there on', () => {
  const printed = [0.01234, 0.123, 1.234, 9.999, 12.34, 99.96, 1234.5].map(milliseconds)
  assert.deepEqual(printed, ['0.012', '0.12', '1.23', '10.0', '12.3', '100', '1,235'])
  assert.deepEqual([milliseconds(undefined), bytes(undefined), ratio(undefined)], ['–', '–', ''])
  assert.deepEqual([0.012, 0.34, 2.04, 12.6].map(ratio), ['0.01×', '0.3×', '2.0×', '13×'])
  assert.deepEqual([bytes(2048), bytes(5 * 1024 ** 2)], ['2.00 KiB', '5.00 MiB'])
})

test('a range of one value is that value', () => {
  assert.equal(range({ low: 2, high: 2 }), '2.00')
  assert.equal(range({ low: 2, high: 300 }), '2.00–300')
})

test('a table has a rule under its head, numbers to the right', () => {
  assert.equal(table(['', 'a'], [['x', '1']]), '|  | a |\n| --- | --: |\n| x | 1 |')
})
