// A document and its attachments as one body of type `multipart/related`, as a push of Firkin sends it: each part tells its
// length, so that nothing is searched through, and contents are never in memory.

import { badRequest } from './errors.js'
import type { AnyDocument } from './types.js'

/** No head of a part is longer. */
const HEAD_BYTES_MAX = 64 << 10

/** The document, with a Blob in place of each attachment that follows it. */
export async function readMultipart(body: Blob, contentType: string): Promise<AnyDocument> {
  const boundary = /boundary="([^"]+)"/.exec(contentType)?.[1]
  if (boundary === undefined) throw badRequest('a body of several parts names its boundary')
  const parts = await partsOf(body, `--${boundary}`)
  const document = JSON.parse((await parts.shift()?.text()) ?? '') as AnyDocument
  for (const attachment of Object.values<AnyDocument>(document._attachments ?? {})) {
    if (!attachment.follows) continue
    const content = parts.shift()
    if (content === undefined) throw badRequest('an attachment that should follow is missing')
    delete attachment.follows
    attachment.data = content
  }
  return document
}

async function partsOf(body: Blob, delimiter: string): Promise<Blob[]> {
  const parts: Blob[] = []
  // A byte is a character.
  const decoder = new TextDecoder('latin1')
  for (let position = 0; ; ) {
    const text = decoder.decode(await body.slice(position, position + HEAD_BYTES_MAX).arrayBuffer())
    const start = text.startsWith('\r\n') ? 2 : 0
    const end = text.indexOf('\r\n\r\n', start)
    const head = end < 0 ? '' : text.slice(start, end)
    if (text.startsWith(`${delimiter}--`, start)) return parts
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
    position += end + 4 + length
    if (!head.startsWith(delimiter) || !(position <= body.size))
      throw badRequest('a body of several parts is cut short')
    parts.push(body.slice(position - length, position))
  }
}
