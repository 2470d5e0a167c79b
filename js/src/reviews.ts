// Reviews: a document whose branches are open, what they grew from, and how they are closed.
//
// The engine tells a review and closes it; here is what an app has in its hands. A merge is one revision on the winning branch and
// an empty tombstone on each of the others, written in one step, and holds only what the app gives: **who merges the same
// branches in the same way, without author, message and time, makes the same revision everywhere**.

import { type Contents, withoutContents } from './attachments.js'
import type { Connection } from './connection.js'
import { attribution } from './document.js'
import { strangeKind } from './encode.js'
import { aborted, badRequest, type ErrorReport, FirkinError } from './errors.js'
import { Followed, follow } from './follow.js'
import type { Selector } from './query-types.js'
import type { Branch, Choice, Clash, MergeOptions, ReviewsUpdate } from './review-types.js'
import type { PatchOperation } from './transaction.js'
import type { Abortable, AnyDocument, Durability, Existing, Written } from './types.js'

/** A review as the engine tells it. */
interface Told<Doc> {
  id: string
  base: Existing<Doc> | null
  branches: { rev: string; history: string[]; doc: Existing<Doc>; diff: PatchOperation[] }[]
  clashes: Clash[]
  proposal: Doc & { _id: string }
  is_decided: boolean
  is_pinned: boolean
  failure?: ErrorReport & { name: string }
}

/** Where reviews come from, and how writes are done there. */
export interface Source {
  connection: Connection
  durability: Durability | undefined
}

/** A document's branches as they were when it was opened, and how to close them. */
export class Review<Doc extends object> {
  readonly id: string
  readonly #source: Source
  #told: Told<Doc>
  #branches: Branch<Doc>[]
  #merge: string | undefined

  constructor(source: Source, told: object) {
    this.#source = source
    this.#told = told as Told<Doc>
    this.id = this.#told.id
    this.#branches = branchesOf(this.#told)
  }

  /** The newest revision that all branches grew from; `null` if there is none, or nobody who was asked holds its body. */
  get base(): Existing<Doc> | null {
    return this.#told.base
  }

  /** The branches, the winning one first. Where there is only one, nothing is open. */
  get branches(): Branch<Doc>[] {
    return this.#branches
  }

  /** Where branches changed one place differently and no policy decides. */
  get clashes(): Clash[] {
    return this.#told.clashes
  }

  /** What the policies make of the branches; at a clash what the winning branch has. */
  get proposal(): Doc & { _id: string } {
    return this.#told.proposal
  }

  /** Whether the policies decide on everything, and may do so by themselves: then the next pull closes the review. */
  get decided(): boolean {
    return this.#told.is_decided && !this.#told.is_pinned
  }

  /** Why a function of the logic module decided nothing: 500 `logic_failed`. What it was asked for is among the clashes. */
  get error(): FirkinError | undefined {
    const { failure } = this.#told
    return failure && new FirkinError(failure)
  }

  /**
   * What a branch, by its revision, changed since the base, as a JSON Patch; where there is no base, since the winning branch.
   * Without one it is the branch that comes second, or the only one.
   */
  diff(rev?: string): PatchOperation[] {
    const told = this.#told.branches
    const branch = rev === undefined ? (told[1] ?? told[0]) : told.find((branch) => branch.rev === rev)
    if (branch === undefined) throw noBranch(rev)
    return branch.diff
  }

  /**
   * Closes the review. 409 `conflict` if the document has other branches by now: nothing was written, and this review shows
   * what there is.
   */
  async merge(choice: Choice<Doc>, options: MergeOptions = {}): Promise<Written> {
    const contents: Contents = new Map()
    const { connection } = this.#source
    const asked = choiceOf(this.id, choice, this.#branches, (doc) =>
      withoutContents(doc, contents, () => connection.newUpload()),
    )
    const leaves = this.#branches.map(({ rev }) => rev)
    const written = await this.#write('mergeReview', { leaves, choice: asked }, options, contents)
    this.#merge = written.rev
    return written
  }

  /**
   * Takes the merge back that this closed, or that the document is now: it becomes what the winning branch was, the others are open
   * again, and no policy closes them. 404 where it is no merge or a branch is not held any more, 409 where the document went on.
   */
  async revert(options: MergeOptions = {}): Promise<Written> {
    return this.#write('revertMerge', { rev: this.#merge ?? this.#branches[0]?.rev }, options)
  }

  async #write(method: string, asked: object, options: MergeOptions, contents?: Contents): Promise<Written> {
    const { connection, durability } = this.#source
    const { signal } = options
    const writing = { durability: options.durability ?? durability }
    const payload = { id: this.id, ...asked, told: attribution(options) ?? {}, options: writing }
    try {
      return (await connection.call(method, payload, { signal, write: true, contents })) as Written
    } catch (error) {
      if (error instanceof FirkinError && error.status === 409) await this.#refresh()
      throw error
    }
  }

  /** What cannot be read, as the document is gone, stays as it was. */
  async #refresh(): Promise<void> {
    try {
      this.#told = (await this.#source.connection.call('review', { id: this.id })) as Told<Doc>
      this.#branches = branchesOf(this.#told)
    } catch {}
  }
}

/** The reviews that are open: to wait for once, to iterate, or to subscribe to. */
export class Reviews<Doc extends object> extends Followed<ReviewsUpdate<Doc>> implements PromiseLike<Review<Doc>[]> {
  readonly #source: Source
  readonly #selector: Selector | undefined
  readonly #signal: AbortSignal | undefined

  constructor(source: Source, selector: Selector | undefined, { signal }: Abortable) {
    super(signal)
    this.#source = source
    this.#selector = selector
    this.#signal = signal
  }

  // biome-ignore lint/suspicious/noThenProperty: those that are open now can be awaited, as a feed can be.
  then<Fulfilled = Review<Doc>[], Rejected = never>(
    onFulfilled?: ((reviews: Review<Doc>[]) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((error: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#first().then(onFulfilled, onRejected)
  }

  async #first(): Promise<Review<Doc>[]> {
    for await (const { reviews } of this) return reviews
    if (this.#signal?.aborted) throw aborted(this.#signal)
    return []
  }

  protected async *values(signal: AbortSignal): AsyncGenerator<ReviewsUpdate<Doc>, void, undefined> {
    let known: Map<string, { text: string; review: Review<Doc> }> | undefined
    const asked = { selector: this.#selector }
    for await (const { isFirst, news } of follow(this.#source.connection, 'reviews', asked, signal)) {
      const { open, closed } = news as { open: { id: string }[]; closed: string[] }
      const before: NonNullable<typeof known> = known ?? new Map()
      const after = new Map(isFirst ? [] : before)
      for (const id of closed) after.delete(id)
      const update: ReviewsUpdate<Doc> = { reviews: [], added: [], changed: [], removed: [] }
      for (const told of open) {
        const text = JSON.stringify(told)
        const earlier = before.get(told.id)
        const isSame = earlier?.text === text
        const review = isSame ? earlier.review : new Review<Doc>(this.#source, told)
        after.set(told.id, { text, review })
        if (!isSame) update[earlier === undefined ? 'added' : 'changed'].push(review)
      }
      for (const [id, { review }] of before) if (!after.has(id)) update.removed.push(review)
      const isNothingNew = update.added.length + update.changed.length + update.removed.length === 0
      const isToTell = known === undefined || !isNothingNew
      known = after
      const byId = [...after].sort(([one], [other]) => (one < other ? -1 : 1))
      update.reviews = byId.map(([, { review }]) => review)
      if (isToTell) yield update
    }
  }
}

function branchesOf<Doc>(told: Told<Doc>): Branch<Doc>[] {
  return told.branches.map(({ rev, history, doc }) => {
    const { author, message, time } = ((doc as AnyDocument).firkin ?? {}) as AnyDocument
    const texts = Object.entries({ author, message, time }).filter(([, value]) => typeof value === 'string')
    return { rev, history, doc, ...Object.fromEntries(texts) }
  })
}

/** The choice as the engine takes it. What has an `_id` is a document. */
function choiceOf<Doc>(
  id: string,
  choice: Choice<Doc>,
  branches: Branch<Doc>[],
  withoutContents: (doc: AnyDocument) => AnyDocument,
): object {
  if (choice === 'proposal') return {}
  if (typeof choice === 'string') return { branch: branchOf(choice, branches) }
  if (typeof choice !== 'object' || choice === null || Array.isArray(choice) || strangeKind(choice) !== undefined) {
    throw badRequest("a merge takes 'ours', 'theirs', 'proposal', a revision, a choice for each path, or a document")
  }
  if ('_id' in choice) {
    const document = choice as AnyDocument
    if (document._id !== id) throw badRequest(`the review is of ${JSON.stringify(id)}, and the document is another`)
    if (document._deleted) throw badRequest('a merge makes a document: what is to be gone is removed branch by branch')
    return { document: withoutContents(document) }
  }
  const paths = Object.entries(choice).map(([path, pick]) => [path, pickOf(path, pick, branches)])
  return { paths: Object.fromEntries(paths) }
}

function pickOf<Doc>(path: string, pick: unknown, branches: Branch<Doc>[]): object {
  if (pick === 'base') return {}
  const words = ['ours', 'theirs', ...branches.map(({ rev }) => rev)]
  if (typeof pick === 'string' && words.includes(pick)) return { branch: branchOf(pick, branches) }
  if (typeof pick === 'object' && pick !== null && Object.keys(pick).join() === 'value') {
    const { value } = pick as { value: unknown }
    if (value !== undefined) return { value }
  }
  throw badRequest(
    `${JSON.stringify(path)} takes 'ours', 'theirs', 'base', a revision or { value }; a document is told from such choices by its _id`,
  )
}

function branchOf<Doc>(word: string, branches: Branch<Doc>[]): string {
  const [ours, theirs, ...others] = branches
  if (word === 'ours' && ours !== undefined) return ours.rev
  if (word !== 'theirs') {
    if (branches.every(({ rev }) => rev !== word)) throw noBranch(word)
    return word
  }
  if (theirs === undefined || others.length > 0) {
    const revs = branches.map(({ rev }) => rev).join(', ')
    throw badRequest(
      `'theirs' is the other of two branches, and there are ${branches.length} (${revs}): name one by its revision, say { path: choice }, or give the document`,
    )
  }
  return theirs.rev
}

function noBranch(rev: string | undefined): FirkinError {
  return new FirkinError({ status: 404, name: 'not_found', reason: `the review has no branch ${rev}` })
}
