// What reviews are decided by: rows, picks, names, marked words, and how a revision tree is laid out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSource } from './source.mjs'

const [resolution, sides, diff, tree] = await loadSource(
  '/src/data/resolution.ts',
  '/src/data/sides.ts',
  '/src/data/diff.ts',
  '/src/data/tree.ts',
)
const { rowsOf, pickOf, outcomeOf, choiceOf, carriedOver } = resolution

const fields = ['title', 'country', 'text'].map((path) => ({ path, label: path, kind: 'line' }))
const version = (rev, entry, ...history) => ({ rev, history: [rev, ...history], entry })
const before = version('1-a', { title: 't', country: 'JPN', text: 'x' })
const versions = [
  version('2-b', { title: 't', country: 'JPN', text: 'y' }, '1-a'),
  version('2-a', { title: 'T', country: 'JPN', text: 'z' }, '1-a'),
]
const review = { clashes: [{ path: 'text' }], proposal: { title: 'T', country: 'JPN', text: 'y' } }

test('a place that one side changed is decided, a clash is open until somebody picks, and what is the same is no row', () => {
  const rows = rowsOf({ versions, base: before, review }, fields)
  assert.deepEqual(
    rows.map(({ field, isClash, changedBy }) => [field.path, isClash, changedBy]),
    [
      ['title', false, ['2-a']],
      ['text', true, ['2-b', '2-a']],
    ],
  )
  const [title, text] = rows
  assert.deepEqual(pickOf(title, {}), { from: '2-a' })
  assert.equal(outcomeOf(text, {}), undefined)
  const picks = { title: { from: 'base' }, text: { value: 'own' } }
  assert.deepEqual([outcomeOf(title, picks), outcomeOf(text, picks)], [{ value: 't' }, { value: 'own' }])
  assert.deepEqual(choiceOf(picks), { title: 'base', text: { value: 'own' } })
})

test('without a base the versions are held against each other', () => {
  const rows = rowsOf({ versions, base: undefined, review }, fields)
  assert.deepEqual(
    rows.map(({ field, values }) => [field.path, values.has('base')]),
    [
      ['title', false],
      ['text', false],
    ],
  )
})

test('picks outlive a change of the versions where they mean the same', () => {
  const picks = {
    title: { from: '2-a' },
    text: { from: '2-a' },
    country: { from: 'base' },
    mark: { value: 'own' },
    year: { from: '2-b' },
  }
  const now = [version('3-c', { ...versions[1].entry, text: 'went on' }, '2-a', '1-a')]
  assert.deepEqual(carriedOver(picks, { versions, base: before }, { versions: now, base: before }), {
    title: { from: '3-c' },
    country: { from: 'base' },
    mark: { value: 'own' },
  })
})

test('versions are called mine, by their authors, or by letters', () => {
  const names = (...authors) =>
    sides
      .sidesOf(
        authors.map((author, place) => ({ rev: `2-${place}`, author })),
        'Bob',
      )
      .map(({ name }) => name)
  assert.deepEqual(names('Alice', 'Bob'), ['Alice', 'Mine'])
  assert.deepEqual(names('Bob', 'Alice', 'Bob', 'Alice', undefined), [
    'Mine (A)',
    'Alice (B)',
    'Mine (C)',
    'Alice (D)',
    'Version E',
  ])
  assert.equal(
    sides.authorsOf([{ author: 'Bob' }, { author: 'Iko' }, { author: 'Alice' }], 'Bob'),
    'by Iko, Alice and you',
  )
  assert.equal(sides.authorsOf([{ author: 'Bob' }, { author: 'Bob' }], 'Bob'), 'by you, on different devices')
  assert.equal(sides.authorsOf([{}, {}], ''), 'of different devices')
})

test('words are marked that one of the other texts lacks', () => {
  const marked = (text, ...others) =>
    diff
      .piecesOf(text, others)
      .map(({ text, differs }) => (differs ? `[${text}]` : text))
      .join('')
  assert.equal(marked('a wet path', 'a dry path'), 'a [wet] path')
  assert.equal(marked('a b c d', 'a b d', 'a c d'), 'a [b c] d')
  assert.equal(marked('a b', 'a b'), 'a b')
  assert.equal(marked('', 'a'), '')
})

test('a long passage in which nothing differs is shortened to its ends, and what differs stays whole', () => {
  const long = 'word '.repeat(200)
  const pieces = diff.shortened(diff.piecesOf(`${long}new ${long}`, [long + long]))
  assert.deepEqual(
    pieces.map(({ differs }) => differs),
    [false, true, false],
  )
  assert.ok(pieces.every(({ text }) => text.length < 250))
  assert.match(pieces[0].text, /^\[…\] word/)
  assert.match(pieces[2].text, /word \[…\]$/)
})

/** Revisions by name: `{ name: [parent, more] }`, as histories tell them. */
function revisions(tree) {
  const all = new Map()
  for (const [name, [parent, more = {}]] of Object.entries(tree)) {
    const generation = parent === undefined ? 1 : all.get(parent).generation + 1
    all.set(name, { rev: name, generation, parent, isDeleted: false, isWinner: false, told: {}, ...more })
  }
  return [...all.values()].sort((one, other) => other.generation - one.generation)
}

const merged = revisions({
  root: [undefined],
  left: ['root'],
  right: ['root'],
  end: ['right', { isDeleted: true }],
  merge: ['left', { isWinner: true, told: { merged: ['right'] } }],
})

test('the winner’s line is the first lane, and a merge is tied to the end of what it merged', () => {
  const { rows, lines, lanes } = tree.treeOf(merged, false)
  assert.deepEqual(
    rows.map(({ revision, lane }) => [revision.rev, lane]),
    [
      ['merge', 0],
      ['end', 1],
      ['right', 1],
      ['left', 0],
      ['root', 0],
    ],
  )
  assert.equal(lanes, 2)
  const ties = lines.map(({ from, to, isMerge }) => [rows[from].revision.rev, rows[to].revision.rev, isMerge])
  assert.deepEqual(
    ties.filter(([, , isMerge]) => isMerge),
    [['merge', 'end', true]],
  )
  assert.equal(ties.length, merged.length - 1 + 1)
})

test('lines that do not meet share a lane, and no two in one lane overlap', () => {
  const forks = revisions({
    a: [undefined],
    b: ['a'],
    c: ['b'],
    x: ['a'],
    d: ['c'],
    e: ['d', { isWinner: true }],
    y: ['d'],
  })
  const { rows, lanes } = tree.treeOf(forks, false)
  const laneOf = (name) => rows.find(({ revision }) => revision.rev === name).lane
  assert.deepEqual([lanes, laneOf('x'), laneOf('y'), laneOf('a'), laneOf('e')], [2, 1, 1, 0, 0])
})

test('long straight runs are one row, unless all are asked for', () => {
  const chain = { r1: [undefined] }
  for (let generation = 2; generation <= 20; generation += 1) chain[`r${generation}`] = [`r${generation - 1}`]
  chain.r20[1] = { isWinner: true }
  chain.side = ['r3']
  const all = revisions(chain)
  const short = tree.treeOf(all, false)
  assert.deepEqual(
    short.rows.map(({ revision, count }) => [revision.rev, count]),
    [
      ['r20', 1],
      ['r19', 16],
      ['side', 1],
      ['r3', 1],
      ['r2', 1],
      ['r1', 1],
    ],
  )
  assert.equal(short.lines.length, short.rows.length - 1)
  assert.equal(tree.treeOf(all, true).rows.length, all.length)
})
