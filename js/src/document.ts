// What is looked at in a document before it is sent. The rest is the engine's to judge.

import { strangeKind } from './encode.js'
import { badRequest, missingId } from './errors.js'
import { randomName } from './random.js'
import type { AnyDocument } from './types.js'

/** The document, if it is an object with an id. */
export function identified(doc: object): AnyDocument {
  const members = membersOf(doc)
  if (members._id === undefined) throw missingId('_id is required for puts')
  return members
}

/** The document, with a random id where it has none. */
export function named(doc: object): AnyDocument {
  const members = membersOf(doc)
  return members._id === undefined ? { ...members, _id: randomName() } : members
}

/** The document with its `firkin` member set anew where an author or a message is given; else as it is. */
export function withAttribution(doc: AnyDocument, author?: string, message?: string): AnyDocument {
  if (author === undefined && message === undefined) return doc
  const told = { ...(author === undefined ? {} : { author }), ...(message === undefined ? {} : { message }) }
  return { ...doc, firkin: { ...told, time: new Date().toISOString() } }
}

function membersOf(doc: unknown): AnyDocument {
  if (typeof doc !== 'object' || doc === null || Array.isArray(doc)) throw badRequest('a document is a JSON object')
  const kind = strangeKind(doc)
  if (kind !== undefined) throw badRequest(`a document is a JSON object, not a ${kind}`)
  return doc as AnyDocument
}
