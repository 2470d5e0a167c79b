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

/** Who writes, why and when. */
export interface Attribution {
  author?: string
  message?: string
  time?: string
}

/** The document with its `firkin` member set anew where any of that is given; else as it is. */
export function withAttribution(doc: AnyDocument, given: Attribution): AnyDocument {
  const told = attribution(given)
  return told === undefined ? doc : { ...doc, firkin: told }
}

/** What the `firkin` member tells of a write; nothing if nothing is given. The time is now if none is. */
export function attribution({ author, message, time }: Attribution): Attribution | undefined {
  const given = Object.entries({ author, message, time }).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) if (typeof value !== 'string') throw badRequest(`${name} is a string`)
  return given.length === 0 ? undefined : { time: new Date().toISOString(), ...Object.fromEntries(given) }
}

function membersOf(doc: unknown): AnyDocument {
  if (typeof doc !== 'object' || doc === null || Array.isArray(doc)) throw badRequest('a document is a JSON object')
  const kind = strangeKind(doc)
  if (kind !== undefined) throw badRequest(`a document is a JSON object, not a ${kind}`)
  return doc as AnyDocument
}
