// What `npm pack` makes is what an app installs: it holds what it needs and nothing else, and runs where it is installed.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const packageFolder = fileURLToPath(new URL('../../js', import.meta.url))
let folder
let files

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firkin-package-'))
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: packageFolder })
  const [packed] = Object.values(JSON.parse(stdout))
  files = packed.files.map(({ path }) => path)
  await writeFile(join(folder, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  await run('npm', ['install', '--offline', '--no-audit', join(folder, packed.filename)], { cwd: folder })
})
after(() => rm(folder, { recursive: true, force: true }))

test('the package holds the built library and the engine, and neither sources nor tests', () => {
  for (const needed of [
    'package.json',
    'README.md',
    'firkin-automerge.wasm',
    'firkin-rescue.wasm',
    'firkin.wasm',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/worker.js',
    'dist/logic-worker.js',
  ])
    assert.ok(files.includes(needed), `${needed} is missing`)
  assert.deepEqual(
    files.filter(
      (path) =>
        !/^(dist\/.+\.(js|d\.ts)|firkin(-automerge|-rescue)?\.wasm|package\.json|README\.md|LICENSE)$/.test(path),
    ),
    [],
  )
})

test('an app in Node that installs the package keeps and finds documents', async () => {
  const app = `
    import { Firkin } from 'firkin'
    const db = new Firkin('cellar')
    await db.bulkDocs([{ _id: 'a', litres: 40 }, { _id: 'b', litres: 9 }])
    const { docs } = await db.find({ selector: { litres: { $lt: 10 } } })
    const failure = await db.get('c').catch(({ status, name, reason }) => ({ status, name, reason }))
    await db.close()
    console.log(JSON.stringify({ found: docs.map(({ _id }) => _id), failure }))`
  await writeFile(join(folder, 'app.js'), app)
  const { stdout } = await run(process.execPath, ['app.js'], { cwd: folder, timeout: 30_000 })
  const failure = { status: 404, name: 'not_found', reason: 'missing' }
  assert.deepEqual(JSON.parse(stdout), { found: ['b'], failure })
})
