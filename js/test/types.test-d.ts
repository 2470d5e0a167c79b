// Types that callers rely on; checked by tsc, never run. A line after @ts-expect-error must not compile.

import {
  type AnyDocument,
  type Attachment,
  type Existing,
  Firkin,
  type FirkinError,
  type LiveUpdate,
  type LogicModule,
  type Selector,
  type Transaction,
  type Written,
} from '../src/index.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <Claim extends true>(_claim?: Claim): void => {}

interface Note {
  title: string
  stars?: number
}

export async function documents(): Promise<void> {
  await using db = new Firkin<Note>('notes', { durability: 'strict' })
  const written = await db.put({ _id: 'a', title: 'one' }, { author: 'Alice', message: 'first' })
  holds<Equal<typeof written, Written>>()
  const note = await db.get('a')
  holds<Equal<typeof note, Existing<Note>>>()
  await db.put({ ...note, stars: 3 })
  await db.put({ _id: 'a', _rev: note._rev, _deleted: true, kept: 'for filters' })
  await db.post({ title: 'two' })
  await db.remove(note)
  await db.remove('a', note._rev)
  const leaves = await db.get('a', { open_revs: 'all' })
  for (const leaf of leaves) if ('ok' in leaf) leaf.ok.title.trim()

  // @ts-expect-error: a document has an id
  await db.put({ title: 'nameless' })
  // @ts-expect-error: a note has a title
  await db.put({ _id: 'b' })
  // @ts-expect-error: a title is a string
  await db.post({ title: 3 })
  // @ts-expect-error: a rev is needed beside an id
  await db.remove('a')
  new Firkin('x', { logic: new URL('./logic.js', 'https://example.org') })
  const validate: LogicModule['validate'] = (doc, old, { replicated, author }) => {
    if (old === null && replicated && author === undefined) throw { forbidden: doc._id }
  }
  new Firkin('x', { worker: false, logic: { validate, onWrite: (doc) => ({ ...doc, n: 1 }) } })
  // @ts-expect-error: logic is a module or its URL
  new Firkin('x', { logic: 1 })
  // @ts-expect-error: no such durability
  new Firkin('x', { durability: 'lax' })
}

export async function queries(db: Firkin<Note>): Promise<void> {
  const { docs } = await db.find({ selector: { stars: { $gte: 2 } }, sort: [{ stars: 'desc' }, 'title'], limit: 3 })
  holds<Equal<typeof docs, Existing<Note>[]>>()
  const { docs: titles } = await db.find<{ title: string }>({ selector: {}, fields: ['title'] })
  titles[0]?.title.trim()
  const selector: Selector = { $or: [{ 'a.b': 1 }, { tags: { $elemMatch: { $eq: 'x' } } }], $not: { c: null } }
  await db.explain({ selector })
  // @ts-expect-error: only up or down
  await db.find({ selector: {}, sort: [{ stars: 'up' }] })

  const all = await db.allDocs({ include_docs: true })
  all.rows[0]?.doc?.title.trim()
  const some = await db.allDocs({ keys: ['a'] })
  for (const row of some.rows) if (!('error' in row)) row.value.rev.trim()
  for (const row of await db.bulkDocs([{ _id: 'a', title: 'x' }, { title: 'y' }])) {
    if ('error' in row) row.reason.trim()
    else row.rev.trim()
  }
}

export async function transactions(db: Firkin<Note>): Promise<void> {
  const stars = await db.transaction(
    async (tx: Transaction<Note>) => {
      const note = await tx.get('a')
      holds<Equal<typeof note, Existing<Note>>>()
      holds<Equal<Awaited<ReturnType<typeof tx.put>>, Written>>()
      await tx.put({ ...note, stars: 3 }, { author: 'Alice' })
      await tx.patch('a', [
        { op: 'replace', path: '/stars', value: 4 },
        { op: 'copy', from: '/title', path: '/old' },
      ])
      const { docs } = await tx.find({ selector: { stars: 4 }, limit: 1 })
      await tx.remove(docs[0] ?? note)
      await tx.remove('b', note._rev)
      // @ts-expect-error: such an operation has a value
      await tx.patch('a', [{ op: 'add', path: '/stars' }])
      // @ts-expect-error: a document has an id
      await tx.put({ title: 'nameless' })
      // @ts-expect-error: a rev is needed beside an id
      await tx.remove('b')
      return (await tx.get<number>('a', { path: 'stars' })) ?? 0
    },
    { retries: 3, durability: 'strict' },
  )
  holds<Equal<typeof stars, number>>()
}

export async function feeds(db: Firkin<Note>): Promise<void> {
  for await (const change of db.changes({ live: true, since: 'now', include_docs: true })) {
    holds<Equal<typeof change.doc, Existing<Note> | undefined>>()
  }
  const { results } = await db.changes()
  results[0]?.changes[0]?.rev.trim()
  const feed = db.changes().on('change', ({ id }) => id.trim())
  feed.on('error', (error: FirkinError) => error.reason).cancel()
  for await (const { id } of db.changes({ consumer: 'mail', live: true })) id.trim()
  for (const { name, seq } of await db.consumers()) await db.removeConsumer(`${name}${seq}`)
  db.changes({ consumer: 'mail' }).on('change', async ({ id }) => void (await db.get(id)))
  // @ts-expect-error: a consumer has a name
  db.changes({ consumer: true })
  // @ts-expect-error: there is no such event
  feed.on('chnage', () => {})
}

export async function following(db: Firkin<Note>): Promise<void> {
  for await (const update of db.live({ selector: { stars: { $gte: 2 } }, sort: ['stars'], skip: 1, limit: 3 })) {
    holds<Equal<typeof update, LiveUpdate<Note>>>()
    holds<Equal<typeof update.docs, Existing<Note>[]>>()
    for (const { index, doc, before } of update.changed) update.docs[index] = doc.title === before.title ? doc : before
  }
  for await (const { docs } of db.live<{ title: string }>({ selector: {}, fields: ['title'] })) docs[0]?.title.trim()
  const end = db.live({ selector: {} }).subscribe(
    async ({ removed }) => removed.map(({ id }) => id.trim()),
    ({ status }) => status.toFixed(),
  )
  holds<Equal<typeof end, () => void>>()
  using titles = db.watch<string>('a', 'title', { signal: AbortSignal.timeout(10) })
  for await (const title of titles) holds<Equal<typeof title, string | undefined>>()
  for await (const note of db.watch('a')) holds<Equal<typeof note, Existing<Note> | undefined>>()
  // @ts-expect-error: skip and limit say which part is followed
  db.live({ selector: {}, bookmark: 'x' })
  // @ts-expect-error: a query has a selector
  db.live({ sort: ['stars'] })
  // @ts-expect-error: a path is a string
  db.watch('a', ['title'])
}

interface Other {
  n: number
}

export async function replications(db: Firkin<Note>): Promise<void> {
  const sync = db.sync(new URL('https://example.org/notes'), { live: true, retry: true, headers: () => ({ a: 'b' }) })
  sync.on('denied', ({ direction, id }) => [direction, id]).on('paused', (error) => error?.status)
  await sync.settled()
  const { push, pull } = await sync
  holds<Equal<typeof push.docs_read, number>>()
  holds<Equal<typeof pull.ok, boolean>>()
  const { docs_written } = await db.replicate.from('https://example.org/notes', { doc_ids: ['a'] })
  docs_written.toFixed()
  const other = new Firkin<Other>('other')
  const { port1, port2 } = new MessageChannel()
  const stop = other.serve(port2, { signal: AbortSignal.timeout(1000) })
  await Promise.all([db.sync(other), db.replicate.to(port1)])
  holds<Equal<typeof stop, () => void>>()
  db.sync('https://example.org/notes', { fetch: (url, init) => fetch(url, { ...init, keepalive: true }) })
  // @ts-expect-error: a peer is a URL, a Firkin or a port
  db.sync(42)
}

export async function reviews(db: Firkin<Note>): Promise<void> {
  for await (const { reviews, added } of db.reviews({ '_review.authors': { $elemMatch: { $eq: 'Bob' } } })) {
    holds<Equal<typeof added, typeof reviews>>()
  }
  for (const review of await db.reviews()) {
    review.base?.title.trim()
    review.diff(review.branches[0]?.rev).map(({ op, path }) => [op, path])
    await review.merge({ _id: review.id, title: review.branches.map(({ doc }) => doc.title).join() }, { author: 'Bob' })
    await review.merge('2-a')
    await review.merge({ title: 'theirs', stars: { value: 3 } })
    await review.merge(review.proposal)
    const { rev } = await review.revert({ author: 'Bob', time: '2026-01-01T00:00:00Z' })
    holds<Equal<typeof rev, string>>()
    // @ts-expect-error: a merged note has a title
    await review.merge({ _id: review.id, stars: 1 })
  }
  const end = db.reviews().subscribe(({ reviews }) => reviews.length)
  holds<Equal<typeof end, () => void>>()
  new Firkin('policies', {
    merge: { '*': 'three-way', stars: 'max', title: { lastWriter: 'edited' } },
    mergeVersion: 2,
  })
  // @ts-expect-error: there is no such policy
  new Firkin('policies', { merge: { '*': 'least' } })
}

export async function info(db: Firkin<Note>): Promise<void> {
  const { identity, storage } = await db.info()
  holds<Equal<typeof identity, string>>()
  holds<Equal<typeof storage, 'indexeddb' | 'opfs' | 'memory'>>()
}

export async function attachments(db: Firkin<Note>, file: File): Promise<void> {
  const { rev } = await db.putAttachment('a', 'x', undefined, file)
  await db.putAttachment('a', 'x', new Uint8Array(), 'text/plain')
  const blob = await db.getAttachment('a', 'x', { rev })
  holds<Equal<typeof blob, Blob>>()
  const note = await db.get('a', { attachments: true, binary: true })
  holds<Equal<typeof note._attachments, { [name: string]: Attachment } | undefined>>()
  await db.put({ ...note, _attachments: { ...note._attachments, y: { data: file } } })
  await db.post({ title: 'x', _attachments: { y: { content_type: 'text/plain', data: 'eA==' } } })
  // @ts-expect-error: an attachment has data, or is a stub
  await db.put({ ...note, _attachments: { y: { content_type: 'text/plain' } } })
  const { revisions } = await db.compact()
  revisions.toFixed()
  const { deletedRevs } = await db.purge('a', rev)
  deletedRevs[0]?.trim()
}

export async function ofTheOrigin(): Promise<void> {
  const { usage, quota, persisted } = await Firkin.estimate()
  holds<Equal<[typeof usage, typeof quota, typeof persisted], [number | undefined, number | undefined, boolean]>>()
  holds<Equal<Awaited<ReturnType<typeof Firkin.persist>>, boolean>>()
}

export async function untyped(db: Firkin): Promise<void> {
  const doc = await db.get('a')
  holds<Equal<typeof doc, Existing<AnyDocument>>>()
  await db.put({ _id: 'a', anything: [1, { b: null }] })
}
