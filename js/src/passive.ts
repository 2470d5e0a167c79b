// The passive side of the replication protocol: answers what a peer asks as a server of CouchDB's kind would, from a database of
// this page. It knows what the acting side asks for, and nothing else of CouchDB's API.

import { type Contents, readAttachment, withContents, withoutContents } from './attachments.js'
import type { Connection } from './connection.js'
import { encode } from './encode.js'
import { type ErrorReport, notFound, reportOf } from './errors.js'
import { readMultipart } from './multipart.js'
import type { AnyDocument, Info } from './types.js'

/** A request; the path stands below the database, with its query. */
export interface Asked {
  method: string
  path: string
  contentType?: string | undefined
  body?: Blob | undefined
  signal?: AbortSignal | undefined
}

const HEARTBEAT_MS = 60_000

/** Answers a request; what fails is an answer as well. */
export async function answer(connection: Connection, asked: Asked): Promise<Response> {
  try {
    return await route(connection, asked)
  } catch (error) {
    const { status, name, reason }: ErrorReport = reportOf(error)
    return json({ error: name, reason }, status >= 400 ? status : 500)
  }
}

function route(connection: Connection, asked: Asked): Promise<Response> {
  const [path = '', search] = asked.path.split('?')
  const query = new URLSearchParams(search)
  const [id = '', attachment] = path.split('/').map(decodeURIComponent)
  const writes = asked.method === 'PUT'
  if (path === '') return info(connection)
  if (path === '_changes') return feed(connection, asked, query)
  if (path === '_revs_diff') return through(connection, 'revsDiff', asked)
  if (path === '_bulk_docs') return through(connection, 'bulkDocs', asked)
  if (path === '_bulk_get') return bulkGet(connection, asked, query)
  if (id === '_local') return writes ? putLocal(connection, path, asked) : getLocal(connection, path)
  if (attachment !== undefined && !writes) return content(connection, id, attachment, query)
  if (attachment === undefined && writes) return putWhole(connection, id, asked)
  throw notFound('missing')
}

async function info(connection: Connection): Promise<Response> {
  const { db_name, doc_count, doc_del_count, update_seq, identity } = (await connection.call('info', {})) as Info
  return json({ db_name, doc_count, doc_del_count, update_seq, uuid: identity, instance_start_time: '0' })
}

/** What the engine is asked and answers is what the protocol says. */
async function through(connection: Connection, method: string, { body }: Asked): Promise<Response> {
  return bytes(await connection.send(method, await bytesOf(body)))
}

async function bulkGet(connection: Connection, { body }: Asked, query: URLSearchParams): Promise<Response> {
  const { docs } = await parsed(body)
  const [revs, latest, attachments] = ['revs', 'latest', 'attachments'].map((name) => query.get(name) === 'true')
  return bytes(await connection.send('bulkGet', encode({ docs, revs, latest, attachments })))
}

async function getLocal(connection: Connection, id: string): Promise<Response> {
  return bytes(await connection.send('get', encode({ id, options: {} })))
}

async function putLocal(connection: Connection, _id: string, { body }: Asked): Promise<Response> {
  const doc = { ...(await parsed(body)), _id }
  return bytes(await connection.send('put', encode({ doc, options: {} })), 201)
}

async function content(connection: Connection, id: string, name: string, query: URLSearchParams): Promise<Response> {
  return new Response(await readAttachment(connection, { id, name, rev: query.get('rev') ?? undefined }, undefined))
}

/** A document with the contents of its attachments behind it. */
async function putWhole(connection: Connection, _id: string, asked: Asked): Promise<Response> {
  const doc = await readMultipart(asked.body ?? new Blob(), asked.contentType ?? '')
  const contents: Contents = new Map()
  const docs = [withoutContents({ ...doc, _id }, contents, () => connection.newUpload())]
  const write = () => connection.callWithDocs('bulkWrite', { new_edits: false, options: {} }, docs)
  const [row] = (await withContents(connection, contents, write, undefined)) as AnyDocument[]
  return json(row, row?.status ?? 201)
}

async function feed(connection: Connection, asked: Asked, query: URLSearchParams): Promise<Response> {
  const { doc_ids, selector } = asked.body === undefined ? {} : await parsed(asked.body)
  const [style, since] = [query.get('style') ?? undefined, query.get('since') ?? '0']
  const [limit, include_docs] = [Number(query.get('limit') ?? Number.NaN), query.get('include_docs') === 'true']
  const wanted = { since, style, include_docs, doc_ids, selector, ...(Number.isNaN(limit) ? {} : { limit }) }
  if (query.get('feed') !== 'longpoll') return bytes(await connection.send('changes', encode(wanted)))
  const heartbeat_ms = Number(query.get('heartbeat')) || HEARTBEAT_MS
  const ended = new AbortController()
  asked.signal?.addEventListener('abort', () => ended.abort())
  const encoder = new TextEncoder()
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const tell = (bytes: Uint8Array) => {
        if (!ended.signal.aborted) controller.enqueue(bytes)
      }
      const beats = setInterval(() => tell(encoder.encode('\n')), heartbeat_ms)
      const page = nextPage(connection, wanted, ended.signal).finally(() => clearInterval(beats))
      page
        .then((page) => {
          tell(encode(page))
          if (!ended.signal.aborted) controller.close()
        })
        .catch((error) => controller.error(error))
    },
    cancel: () => ended.abort(),
  })
  return new Response(stream)
}

interface Page {
  results: unknown[]
  last_seq: string
}

/** The next page that has something; an empty one once `signal` is aborted. */
async function nextPage(connection: Connection, wanted: { since: string }, signal: AbortSignal): Promise<Page> {
  for (let { since } = wanted; ; ) {
    // Listening comes before looking, so that a change between the two is not missed.
    const changed = nextChange(connection, signal)
    const page = (await connection.call('changes', { ...wanted, since })) as Page
    if (page.results.length > 0 || signal.aborted) return page
    since = page.last_seq
    await changed
  }
}

function nextChange(connection: Connection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      connection.off('changed', done).off('leader', done).off('closed', done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    connection.on('changed', done).on('leader', done).on('closed', done)
    signal.addEventListener('abort', done)
  })
}

const json = (value: unknown, status = 200) => bytes(encode(value), status)

const bytes = (body: Uint8Array, status = 200) => new Response(body as BodyInit, { status })

const bytesOf = async (body: Blob | undefined) => new Uint8Array((await body?.arrayBuffer()) ?? new ArrayBuffer())

const parsed = async (body: Blob | undefined) => JSON.parse((await body?.text()) ?? '') as AnyDocument
