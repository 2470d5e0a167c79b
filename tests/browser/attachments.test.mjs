// Attachments in a real browser: contents of several MiB, across reloads, kills and tabs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, loadFirkin } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const MEBIBYTE = 1024 * 1024
const profile = useProfile()

/** A page that can make long contents and tell what they are. */
async function openPage() {
  const page = await profile.open()
  await addHelpers(page)
  return page
}

function addHelpers(page) {
  return page.evaluate(() => {
    window.contentOf = (bytes, seed) => {
      const words = new Uint32Array(Math.ceil(bytes / 4))
      for (let place = 0, word = seed; place < words.length; place += 1) {
        word = (Math.imul(word, 1664525) + 1013904223) >>> 0
        words[place] = word
      }
      return new Uint8Array(words.buffer, 0, bytes)
    }
    window.hashOf = async (content) => {
      const bytes = content instanceof Blob ? await content.arrayBuffer() : content
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
      return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
    }
  })
}

test('a Blob of some MiB is stored once for two documents and outlives a reload, a compaction and the browser', async () => {
  let page = await openPage()
  const size = 6 * MEBIBYTE + 5
  const given = await page.evaluate(async (size) => {
    const db = new Firkin('films')
    const film = new Blob([contentOf(size, 7)], { type: 'video/webm' })
    const { rev } = await db.put({ _id: 'one', _attachments: { film: { data: film } } })
    await db.putAttachment('two', 'also', undefined, film)
    await db.put({ ...(await db.get('one')), n: 1 })
    const { contents_kept, contents_kept_bytes } = await db.compact()
    return { hash: await hashOf(film), rev, contents_kept, contents_kept_bytes }
  }, size)
  assert.deepEqual([given.contents_kept, given.contents_kept_bytes], [1, size])

  const read = () =>
    page.evaluate(async (old) => {
      const db = new Firkin('films')
      const [one, two] = [await db.getAttachment('one', 'film'), await db.getAttachment('two', 'also')]
      const whole = await db.get('two', { attachments: true, binary: true })
      const { contents_kept } = await db.compact()
      const gone = await db.getAttachment('one', 'film', { rev: old }).catch(({ reason }) => reason)
      const seen = { sizes: [one.size, two.size], types: [one.type, two.type], contents_kept, gone }
      seen.hashes = await Promise.all([one, two, whole._attachments.also.data].map(hashOf))
      await db.close()
      return seen
    }, given.rev)
  const expected = {
    sizes: [size, size],
    types: ['video/webm', 'video/webm'],
    contents_kept: 1,
    gone: 'missing',
    hashes: [given.hash, given.hash, given.hash],
  }
  await page.reload()
  await loadFirkin(page)
  await addHelpers(page)
  assert.deepEqual(await read(), expected)
  await profile.killAndStart()
  page = await openPage()
  assert.deepEqual(await read(), expected)
})

test('a content that a tab sends while the leading tab closes arrives whole', async () => {
  const leader = await openPage()
  await leader.evaluate(async () => {
    window.db = new Firkin('moving')
    await db.put({ _id: 'a' })
  })
  const other = await openPage()
  await other.evaluate(async (size) => {
    window.db = new Firkin('moving')
    window.led = []
    db.on('leader', ({ leading }) => led.push(leading))
    const { _rev } = await db.get('a')
    window.sent = contentOf(size, 3)
    window.done = false
    window.put = db.putAttachment('a', 'long', _rev, sent, 'a/b').finally(() => {
      window.done = true
    })
    put.catch(() => {})
  }, 24 * MEBIBYTE)
  // Some of it is there, and some is not.
  await eventually(leader, async () => (await db.compact()).contents_incoming === 1)
  assert.equal(await other.evaluate(() => done), false)
  await leader.close()
  const seen = await other.evaluate(async () => {
    const { rev } = await put
    const back = await db.getAttachment('a', 'long')
    const compacted = await db.compact()
    const same = (await hashOf(back)) === (await hashOf(sent))
    const { contents_kept, contents_incoming } = compacted
    return { led, same, contents_kept, contents_incoming, generation: rev.split('-')[0] }
  })
  assert.deepEqual(seen, { led: [false, true], same: true, contents_kept: 1, contents_incoming: 0, generation: '2' })
  await other.close()
})

test('what a tab was sending when it closed is given up', async () => {
  const leader = await openPage()
  await leader.evaluate(async () => {
    window.db = new Firkin('given-up')
    await db.put({ _id: 'a' })
  })
  const other = await openPage()
  await other.evaluate((size) => {
    window.db = new Firkin('given-up')
    void db.putAttachment('b', 'long', undefined, contentOf(size, 3), 'a/b')
  }, 48 * MEBIBYTE)
  await eventually(leader, async () => (await db.compact()).contents_incoming === 1)
  await other.close()
  await eventually(leader, async () => {
    const { contents_incoming, contents_dropped, contents_kept } = await db.compact()
    return contents_incoming + contents_dropped + contents_kept === 0
  })
  assert.equal(await leader.evaluate(() => db.get('b').catch(({ reason }) => reason)), 'missing')
  await leader.close()
})
