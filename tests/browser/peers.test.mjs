// Peers that are no servers: another database of the page, a database of another page at the other end of a port, also across a
// WebRTC data channel. The engines run in workers, and in another tab where that leads.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, loadFirkin } from '../support/browser.mjs'
import { useProfile } from './profile.mjs'

const profile = useProfile()

/** Puts into the page what the tests share. */
async function prepare(page) {
  await page.evaluate(() => {
    window.reel = new Uint8Array(700_000).map((_, place) => place ^ (place >> 7))
    window.fill = async (db) => {
      await db.bulkDocs(Array.from({ length: 1000 }, (_, n) => ({ _id: `d${n}`, n })))
      await db.put({ _id: 'reel', _attachments: { 'a/b': { content_type: 'a/b', data: new Blob([reel]) } } })
      const { rev } = await db.put({ _id: 'gone' })
      await db.remove('gone', rev)
    }
    window.leaves = async (db) => {
      const { results } = await db.changes({ style: 'all_docs' })
      return Object.fromEntries(results.map(({ id, changes }) => [id, changes.map(({ rev }) => rev).join()]).sort())
    }
    window.hasReel = async (db) => {
      const bytes = new Uint8Array(await (await db.getAttachment('reel', 'a/b')).arrayBuffer())
      return bytes.length === reel.length && bytes.every((byte, place) => byte === reel[place])
    }
  })
  return page
}

/** A page, and one that it opened: `window.port` of each leads to the other. */
async function openBoth() {
  const one = await prepare(await profile.open())
  const opening = profile.context.waitForEvent('page')
  await one.evaluate((url) => {
    window.opened = window.open(url)
  }, `${profile.origin}/page`)
  const other = await opening
  await other.waitForLoadState()
  await loadFirkin(other)
  await prepare(other)
  await other.evaluate(() => {
    window.addEventListener('message', ({ ports: [port] }) => {
      window.port = port
    })
  })
  await one.evaluate(() => {
    const { port1, port2 } = new MessageChannel()
    window.port = port1
    opened.postMessage('port', '*', [port2])
  })
  await eventually(other, () => window.port !== undefined)
  return [one, other]
}

test('two databases of a page sync, also where another tab leads', async () => {
  const leading = await profile.open()
  await leading.evaluate(async () => {
    window.led = new Firkin('local one')
    await led.ready
  })
  const page = await prepare(await profile.open())
  const seen = await page.evaluate(async () => {
    const [one, other] = [new Firkin('local one'), new Firkin('local other')]
    await fill(one)
    await other.put({ _id: 'd1', n: 'other' })
    const { push, pull } = await one.sync(other)
    const same = JSON.stringify(await leaves(one)) === JSON.stringify(await leaves(other))
    const live = one.sync(other, { live: true, retry: true })
    await live.settled()
    await one.put({ _id: 'live' })
    await live.settled()
    const { _id } = await other.get('live')
    live.cancel()
    await live
    return [push.docs_written, pull.docs_written, same, await hasReel(other), _id]
  })
  assert.deepEqual(seen, [1002, 1, true, true, 'live'])
  await page.close()
  await leading.close()
})

test('databases of two pages sync over a port, live, with attachments', async () => {
  const [one, other] = await openBoth()
  await other.evaluate(async () => {
    window.db = new Firkin('served')
    db.serve(port)
    await db.put({ _id: 'theirs', n: 1 })
  })
  const counts = await one.evaluate(async () => {
    window.db = new Firkin('syncing')
    await fill(db)
    const { push, pull } = await db.sync(port)
    window.live = db.sync(port, { live: true, retry: true })
    await live.settled()
    await db.put({ _id: 'here' })
    return [push.docs_written, pull.docs_written, push.doc_write_failures]
  })
  assert.deepEqual(counts, [1002, 1, 0])
  assert.ok(await other.evaluate(() => hasReel(db)))
  await other.evaluate(() => db.put({ _id: 'there' }))
  await eventually(other, () => db.get('here').catch(() => false))
  await eventually(one, () => db.get('there').catch(() => false))
  const all = await one.evaluate(() => leaves(db))
  assert.deepEqual(await other.evaluate(() => leaves(db)), all)
  assert.equal(await one.evaluate(() => live.status.pending), 0)
  await one.close()
  await other.close()
})

test('frames of a port go over a WebRTC data channel as they are', async () => {
  const page = await prepare(await profile.open())
  const seen = await page.evaluate(async () => {
    const [left, right] = [new RTCPeerConnection(), new RTCPeerConnection()]
    left.onicecandidate = ({ candidate }) => right.addIceCandidate(candidate)
    right.onicecandidate = ({ candidate }) => left.addIceCandidate(candidate)
    const near = left.createDataChannel('firkin')
    const far = new Promise((resolve) => right.addEventListener('datachannel', ({ channel }) => resolve(channel)))
    await left.setLocalDescription()
    await right.setRemoteDescription(left.localDescription)
    await right.setLocalDescription()
    await left.setRemoteDescription(right.localDescription)
    if (near.readyState !== 'open') await new Promise((open) => near.addEventListener('open', open))
    // What an app does at each end.
    const portOf = (channel) => {
      const { port1, port2 } = new MessageChannel()
      channel.binaryType = 'arraybuffer'
      channel.onmessage = ({ data }) => port1.postMessage(data)
      port1.onmessage = ({ data }) => channel.send(data)
      return port2
    }
    const [one, other] = [new Firkin('rtc one'), new Firkin('rtc other')]
    await fill(one)
    other.serve(portOf(await far))
    const { push } = await one.sync(portOf(near))
    const same = JSON.stringify(await leaves(one)) === JSON.stringify(await leaves(other))
    return [push.docs_written, same, await hasReel(other)]
  })
  assert.deepEqual(seen, [1002, true, true])
  await page.close()
})
