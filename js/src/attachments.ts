// Contents of attachments on their way between the page and the engine: as bytes, part by part, never as one large text.
//
// A content is staged before the call whose document names it, under a name that nobody else can guess. What is staged
// belongs to the leader of the time: **if that goes away before the call is done, all is sent again from the beginning**,
// unless the call may have taken effect.

import type { AttachmentContent } from './attachment-types.js'
import type { Connection } from './connection.js'
import { encode } from './encode.js'
import { badRequest, FirkinError } from './errors.js'
import type { AnyDocument, RemoveOptions } from './types.js'

/** The contents that a call brings, by the names under which they are staged. */
export type Contents = Map<string, Blob>

/** How much is sent at a time: about as much as the engine stores at a time. */
const CHUNK_BYTES = 1_044_480
/** How often a content is sent if leaders keep going away. */
const ATTEMPTS_MAX = 4
/** The length of the JSON that stands before bytes. */
const LENGTH_BYTES = 4

const decoder = new TextDecoder()

/** JSON with bytes behind it, as the engine takes them. */
export function joinFrame(head: unknown, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = encode(head)
  const frame = new Uint8Array(LENGTH_BYTES + json.byteLength + bytes.byteLength)
  new DataView(frame.buffer).setUint32(0, json.byteLength)
  frame.set(json, LENGTH_BYTES)
  frame.set(bytes, LENGTH_BYTES + json.byteLength)
  return frame
}

/** The JSON and the bytes behind it. */
export function splitFrame(frame: Uint8Array): { head: unknown; bytes: Uint8Array<ArrayBuffer> } {
  const start = LENGTH_BYTES + new DataView(frame.buffer, frame.byteOffset).getUint32(0)
  const json = decoder.decode(frame.subarray(LENGTH_BYTES, start))
  return { head: JSON.parse(json), bytes: new Uint8Array(frame.subarray(start)) }
}

/** The content as a Blob of its own; what is done to a buffer later does not change it. */
export function blobOf(content: AttachmentContent): Blob {
  if (content instanceof Blob) return content
  if (content instanceof ArrayBuffer || ArrayBuffer.isView(content)) return new Blob([content as BlobPart])
  if (typeof content === 'string') return new Blob([bytesOfBase64(content)])
  throw badRequest('an attachment is a Blob, an ArrayBuffer, a Uint8Array or a string of base64')
}

/** The document with each content of its attachments that is no text replaced by a name, under which `contents` has it. */
export function withoutContents(doc: AnyDocument, contents: Contents, newName: () => string): AnyDocument {
  const attachments: unknown = doc._attachments
  if (typeof attachments !== 'object' || attachments === null) return doc
  const replaced = Object.entries(attachments).map(([name, attachment]) => {
    const { data, ...told } = (attachment ?? {}) as AnyDocument
    if (typeof data !== 'object' || data === null) return [name, attachment]
    const [staged, content] = [newName(), blobOf(data)]
    contents.set(staged, content)
    const { content_type = content.type || undefined } = told
    return [name, { ...told, content_type, staged }]
  })
  return { ...doc, _attachments: Object.fromEntries(replaced) }
}

/** Stages the contents, and then runs `call`, which names them. */
export async function withContents<Answer>(
  connection: Connection,
  contents: Contents,
  call: () => Promise<Answer>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        for (const [name, content] of contents) await stage(connection, name, content, signal)
        return await call()
      } catch (error) {
        if (!isLost(error) || attempt === ATTEMPTS_MAX) throw error
      }
    }
  } catch (error) {
    for (const prefix of contents.keys()) connection.call('unstage', { prefix }).catch(() => {})
    throw error
  }
}

async function stage(connection: Connection, name: string, content: Blob, signal?: AbortSignal): Promise<void> {
  let position = 0
  do {
    const chunk = content.slice(position, position + CHUNK_BYTES)
    const bytes = new Uint8Array(await chunk.arrayBuffer())
    await connection.send('stage', joinFrame({ name, position }, bytes), { signal, stages: true })
    position += bytes.byteLength
  } while (position < content.size)
}

/** The content of an attachment. Of the revision that its first part came from, whatever is written meanwhile. */
export async function readAttachment(
  connection: Connection,
  asked: { id: string; name: string; rev?: string | undefined },
  signal: AbortSignal | undefined,
): Promise<Blob> {
  const parts: Blob[] = []
  let [position, rev] = [0, asked.rev]
  for (;;) {
    const payload = encode({ ...asked, rev, position })
    const frame = splitFrame(await connection.send('getAttachment', payload, { signal }))
    const head = frame.head as { content_type: string; length: number; rev: string }
    // As a Blob each part may leave this thread's memory.
    parts.push(new Blob([frame.bytes]))
    position += frame.bytes.byteLength
    rev = head.rev
    if (position >= head.length) return new Blob(parts, { type: head.content_type })
  }
}

/** The document with a Blob in place of each stub. */
export async function withBlobs(
  connection: Connection,
  doc: AnyDocument,
  signal: AbortSignal | undefined,
): Promise<AnyDocument> {
  const { _id: id, _rev: rev, _attachments: attachments } = doc
  if (attachments === undefined) return doc
  const shown: [string, AnyDocument][] = []
  for (const [name, { stub, length, ...told }] of Object.entries<AnyDocument>(attachments)) {
    shown.push([name, { ...told, data: await readAttachment(connection, { id, name, rev }, signal) }])
  }
  return { ...doc, _attachments: Object.fromEntries(shown) }
}

type GivenAttachment = [rev: string | undefined, content: AttachmentContent, type: string | undefined, RemoveOptions]

/** How a revision begins, and base64 never does. */
const REVISION = /^\d+-/

/** What `putAttachment` was given after the name: PouchDB leaves the revision of a new document out. */
export function attachmentGiven(given: unknown[]): GivenAttachment {
  const isContent = (value: unknown) => typeof value === 'object' && value !== null
  const [first, second, third, fourth] = given
  const isRev = first === undefined || first === null || (typeof first === 'string' && REVISION.test(first))
  if (isRev && typeof second === 'string' && third === undefined) {
    throw badRequest('a content that is a string, which is base64, needs a type as its next argument')
  }
  const withRev = isRev || isContent(second) || third !== undefined
  const [rev, content, type] = withRev ? [first ?? undefined, second, third] : [undefined, first, second]
  return [rev, content, type, fourth ?? {}] as GivenAttachment
}

function isLost(error: unknown): boolean {
  return error instanceof FirkinError && error.code === 'content_lost'
}

function bytesOfBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    throw badRequest('a string that is the content of an attachment is base64')
  }
}
