// How the tabs that share a database reach each other.
//
// Every member has a mailbox of its own, a BroadcastChannel that nobody else listens on, so that documents go to the
// one who asked only; and all of a database share a board for what concerns everybody. A member holds a Web Lock for as
// long as it lives, under its mailbox's name: who waits for that lock learns of its end, however it came.

import type { EventMessage, Request, Response } from './messages.js'
import { randomName } from './random.js'
import type { Build } from './version.js'

/** What is told to all members of a database. */
export type Notice =
  /** A member is there, and asks. */
  | ({ type: 'whoLeads' } & Build)
  /**
   * This member runs the engine from now on, for a term of this name, over the database of this identity, with the app's logic
   * from this URL.
   */
  | ({ type: 'leads'; leader: string; term: string; identity?: string; rescued?: boolean; logic?: string } & Build)
  /** The leader of this term serves no more. */
  | { type: 'leaves'; term: string }
  /** The leader's database is gone, for all. */
  | { type: 'destroyed' }
  | EventMessage

/**
 * A letter to a leader says who wrote it. It is about what a leader does in one term: one that comes late, to a leader or from
 * one, is not taken for something of another term.
 */
export type Letter = { from: string; term: string; message: Request } | { term: string; message: Response }

const BOX_PREFIX = 'firkin-member:'
const boxName = (member: string) => `${BOX_PREFIX}${member}`

/** The members, of whatever database, that live. */
export async function livingMembers(): Promise<string[]> {
  const { held = [] } = await navigator.locks.query()
  const names = held.map(({ name = '' }) => name).filter((name) => name.startsWith(BOX_PREFIX))
  return names.map((name) => name.slice(BOX_PREFIX.length))
}

export class Mail {
  readonly member = randomName()
  onNotice: (notice: Notice) => void = () => {}
  onLetter: (letter: Letter) => void = () => {}
  readonly #board: BroadcastChannel
  readonly #inbox: BroadcastChannel
  readonly #outboxes = new Map<string, BroadcastChannel>()
  readonly #alive = new AbortController()

  constructor(database: string) {
    this.#board = new BroadcastChannel(`firkin:${database}`)
    this.#board.onmessage = ({ data }) => this.onNotice(data as Notice)
    this.#inbox = new BroadcastChannel(boxName(this.member))
    this.#inbox.onmessage = ({ data }) => this.onLetter(data as Letter)
  }

  /** Takes the lock that tells that this member lives. Nothing may be sent before. */
  live(): Promise<void> {
    return new Promise((held, failed) => {
      const untilEnd = () => {
        held()
        return new Promise<void>((end) => this.#alive.signal.addEventListener('abort', () => end()))
      }
      navigator.locks.request(boxName(this.member), untilEnd).catch(failed)
    })
  }

  /** Calls `gone` once the other member lives no more. */
  outlive(member: string, gone: () => void): void {
    const { signal } = this.#alive
    navigator.locks.request(boxName(member), { signal }, gone).catch(() => {})
  }

  notify(notice: Notice): void {
    this.#board.postMessage(notice)
  }

  send(member: string, letter: Letter): void {
    let outbox = this.#outboxes.get(member)
    if (outbox === undefined) {
      outbox = new BroadcastChannel(boxName(member))
      this.#outboxes.set(member, outbox)
    }
    outbox.postMessage(letter)
  }

  /** The other member's mailbox is no longer written to. */
  forget(member: string): void {
    this.#outboxes.get(member)?.close()
    this.#outboxes.delete(member)
  }

  close(): void {
    this.#alive.abort()
    this.#board.close()
    this.#inbox.close()
    for (const outbox of this.#outboxes.values()) outbox.close()
  }
}
