// Atlas, the demo app, as built and served, with a server to sync with, and what people do in it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { flags, launchProfile } from './browser.mjs'
import { startFirkinServer } from './firkin-server.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const patience_ms = 20_000
const viewport = { width: 1280, height: 900 }

/**
 * Sets up what the tests of a file share before them: the app at `appUrl`, and `server`, which `startServer()` starts again
 * where it was.
 */
export function useAtlas() {
  const atlas = { appUrl: '', server: undefined, startServer, newPage, welcomed, introduced, notesOnServer }
  let folder
  let browser
  let app
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atlas-'))
    const port = await freePort()
    atlas.appUrl = `http://localhost:${port}`
    await startServer()
    app = await serveApp(port)
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
  })
  after(async () => {
    await browser?.close()
    await app?.stop()
    await atlas.server?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return atlas

  async function startServer() {
    const port = atlas.server === undefined ? 0 : new URL(atlas.server.url).port
    atlas.server = await startFirkinServer({ data: join(folder, 'server'), origin: atlas.appUrl, port })
  }

  /** A page in a context of its own, which shares nothing with others. */
  async function newPage(t) {
    return pageOf(t, await browser.newContext())
  }

  /** A page past the welcome; it syncs with `database` if one is named. */
  async function welcomed(t, name, { database } = {}) {
    return welcome(await newPage(t), name, database)
  }

  /** As `welcomed`, in a browser of its own, whose profile is on the disk. */
  async function introduced(t, name, database) {
    const context = await launchProfile(join(folder, `${database}-${name}`))
    return welcome(await pageOf(t, context), name, database)
  }

  async function welcome(page, name, database) {
    const sync = database === undefined ? '' : `?sync=${encodeURIComponent(`${atlas.server.url}/${database}`)}`
    if (database !== undefined) await fetch(`${atlas.server.url}/${database}`, { method: 'PUT' })
    await page.goto(`${atlas.appUrl}/${sync}`)
    await page.getByTestId('name').fill(name)
    await page.getByTestId('start').click()
    await page.getByTestId('tally').waitFor()
    return page
  }

  /** The notes as the server shows them, with their `_conflicts`. */
  async function notesOnServer(database) {
    const answer = await fetch(`${atlas.server.url}/${database}/_all_docs?include_docs=true&conflicts=true`)
    const { rows } = await answer.json()
    return rows.map(({ doc }) => doc).filter(({ kind }) => kind === 'note')
  }
}

async function pageOf(t, context) {
  t.after(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(patience_ms)
  await page.setViewportSize(viewport)
  page.on('pageerror', (error) => assert.fail(`the page failed: ${error.message}`))
  return page
}

// What people do.

export async function open(page, hash) {
  await page.evaluate((address) => {
    location.hash = address
  }, hash)
}

export async function writeNote(page, code, title, text) {
  await open(page, `#/country/${code}`)
  await page.getByTestId('write-note').click()
  await page.getByTestId('note-title').fill(title)
  await page.getByTestId('note-text').fill(text)
  await page.getByTestId('note-save').click()
  await heading(page, title)
}

/** Writes the text, and the title if one is given, of the note that the page shows. */
export async function editNote(page, text, title) {
  await page.getByTestId('note-edit').click()
  if (title !== undefined) await page.getByTestId('note-title').fill(title)
  await page.getByTestId('note-text').fill(text)
  await page.getByTestId('note-save').click()
  await page.getByTestId('note-words').getByText(text, { exact: true }).waitFor()
}

// What they see.

export async function heading(page, text) {
  await page.getByRole('heading', { level: 1, name: text }).waitFor()
}

export async function state(page, name) {
  await page.locator(`[data-testid=sync-state][data-state=${name}]`).waitFor()
}

export const synced = (page) => state(page, 'synced')

// What runs.

async function serveApp(port) {
  const child = spawn(process.execPath, [join(root, 'demo/serve.mjs'), '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`demo/serve.mjs ended with ${code}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return { stop }
}

async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}
