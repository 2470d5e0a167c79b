// What page, worker and tabs say to each other. Documents cross as UTF-8 JSON.
//
// A page talks to the member of its database's tabs that works for it (in its worker); that member talks to the engine,
// or to the member that leads. The same messages go the whole way.

import type { ErrorReport } from './errors.js'
import type { DatabaseOptions } from './types.js'

/** The options that the engine is opened with. */
export type EngineOptions = Pick<
  DatabaseOptions,
  'storage' | 'durability' | 'revsLimit' | 'documentBytesMax' | 'cacheBytes' | 'index' | 'merge' | 'mergeVersion'
> & {
  /** The URL of the app's logic. */
  logic?: string
}

/** The name by which the tabs that share a database know it; none of one in memory. */
export function sharedName(name: string, { storage }: EngineOptions): string | undefined {
  if (storage === 'memory') return undefined
  // A database of the same name in IndexedDB is another.
  return storage === 'opfs' ? `\u0000opfs:${name}` : name
}

/** What can be done to a database that does not open. */
export const UNOPENED: readonly string[] = ['destroy', 'repair']

/** A method is to be run. Ids are the page's. */
export interface Call {
  type: 'call'
  id: number
  method: string
  payload: Uint8Array<ArrayBuffer>
  /** Of a call that begins or cancels a replication: its number, of which events and questions speak. */
  replication?: number
  /** Of a call that begins a replication: the page sends its requests. */
  fetches?: true
  /** Of a call that begins a replication that others may have a part in who ask for the same: all that it asks for, as JSON. */
  shared?: string
  /** Of a call that begins, reads or ends what is followed (see follow.ts): its number. */
  feed?: number
  /** It changes documents, and must not do so twice. */
  write?: true
  /** Of a write: the place that its client gives to no other write under way, and whether it was sent to a leader before. */
  request?: { slot: number; again: boolean }
  /** The name of the transaction that the call begins, belongs to or ends. */
  transaction?: string
  /** Of a call that stages a content: what the names of all that its page stages start with. */
  uploads?: string
}

/** What the page says to a question. */
export type Answer = { type: 'answer'; id: number } & (
  | { json: string }
  | { bytes: Uint8Array }
  | { error: ErrorReport }
)

/** Nobody waits for the call's outcome any more. */
export interface Cancel {
  type: 'cancel'
  id: number
}

/** From the page, or from a follower for its page, to where the engine is. */
export type Request = Call | Answer | Cancel

/** How a call ended. One that is `unserved` was not begun, or ended with its leader: it can be sent to the next. */
export type Outcome =
  | { type: 'result'; id: number; payload: Uint8Array }
  | { type: 'refused'; id: number; error: ErrorReport }
  | { type: 'unserved'; id: number }

/** Something happened. */
export interface EventMessage {
  type: 'event'
  name: string
  json: string
}

/** The engine needs to know something. Ids are the engine's side's. */
export interface Question {
  type: 'ask'
  id: number
  name: string
  json: string
  /** The body of a request. */
  body?: Blob | Uint8Array
}

/** From where the engine is, to a page. */
export type Response = Outcome | EventMessage | Question

/** What a page says to its member. `open` comes first. */
export type FromPage =
  | Request
  /** Told to the other tabs. */
  | EventMessage
  | { type: 'open'; name: string; options: EngineOptions; wasm?: string }
  | { type: 'close' }
  | { type: 'list'; wasm?: string }
  /** The page compiles the engine's module for the worker; then, what it has compiled, if it could. */
  | { type: 'compiling' }
  | { type: 'compiled'; module: WebAssembly.Module | undefined }

/** What a member says to its page. */
export type ToPage =
  | Exclude<Response, { type: 'unserved' }>
  | { type: 'opened' }
  | { type: 'failed'; error: ErrorReport }
  | { type: 'left' }
  /** The engine's worker cannot start one for the app's logic: the page does, and relays what is said through `port`. */
  | { type: 'startLogic'; port: MessagePort }
  | { type: 'listed'; names: string[] }
