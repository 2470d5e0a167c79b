// What two ends of a replication do to their data, and what each holds of it. Firkin and PouchDB have the same methods, so
// this runs over either, in Node and in a page.

const numbered = (from, to, make) => Array.from({ length: to - from }, (_, place) => make(from + place))
const idOf = (n) => `doc-${String(n).padStart(4, '0')}`

/** A text in base64 that comes to about `bytes` bytes. */
function content(seed, bytes) {
  let text = ''
  while (text.length < bytes) text += `${seed} ${text.length};`
  return btoa(text)
}

/** Changes documents. What a replication brings meanwhile is in the way of an edit: it is made again on top of that. */
async function edit(db, numbers, change) {
  const { rows } = await db.allDocs({ keys: numbers.map(idOf), include_docs: true })
  const here = rows.filter(({ doc }) => doc)
  const outcome = await db.bulkDocs(here.map(({ doc }) => ({ ...doc, ...change(doc) })))
  if (outcome.some(({ error }) => error && error !== 'conflict')) throw new Error(JSON.stringify(outcome))
  const refused = outcome.flatMap(({ error }, place) => (error ? [here[place].doc.n] : []))
  if (refused.length > 0) await edit(db, refused, change)
}

/** A thousand documents, some of them edited, deleted, or with attachments. */
export async function begin(db) {
  await db.bulkDocs(
    numbered(0, 1000, (n) => ({ _id: idOf(n), n, text: `${'é"\\'}${n}`, at: { depth: [n, null, true] } })),
  )
  await edit(db, numbered(50, 100, Number), () => ({ edited: true }))
  await edit(db, numbered(60, 70, Number), () => ({ edited: 'twice' }))
  await edit(db, numbered(70, 80, Number), () => ({ _deleted: true }))
  await edit(db, numbered(900, 905, Number), ({ n }) => ({
    _attachments: {
      'note é.txt': { content_type: 'text/plain', data: content(n, 40) },
      'long/reel': { content_type: 'application/x-reel', data: content(n, n % 2 === 0 ? 400_000 : 2_000) },
    },
  }))
}

/** Both ends edit and delete the same documents, and others. */
export async function diverge(db, who) {
  await edit(db, numbered(0, 20, Number), () => ({ by: who }))
  await edit(db, numbered(0, 5, Number), () => ({ by: `${who} again` }))
  await edit(db, numbered(20, 30, Number), ({ n }) =>
    (n % 2 === 0) === (who === 'left') ? { _deleted: true } : { by: who },
  )
  await edit(db, numbered(30, 35, Number), () => ({ _deleted: true, by: who }))
  await edit(db, who === 'left' ? [901] : [902], ({ n }) => ({
    _attachments: { 'note é.txt': { content_type: 'text/plain', data: content(`${who} ${n}`, 60) } },
  }))
  await db.bulkDocs(numbered(0, 100, (n) => ({ _id: `${who} ${n}/?&#`, n })))
}

/** Ends every conflict: all leaves but the winner are deleted. */
export async function settle(db) {
  const { rows } = await db.allDocs({ include_docs: true, conflicts: true })
  const losers = rows.flatMap(({ id, doc }) =>
    (doc._conflicts ?? []).map((_rev) => ({ _id: id, _rev, _deleted: true })),
  )
  await db.bulkDocs(losers)
  return losers.length
}

/** All leaves of all documents with their histories, which of them win, and the attachments of these. */
export async function replicaOf(db) {
  const { results } = await db.changes({ style: 'all_docs', since: 0 })
  const docs = results.flatMap(({ id, changes }) => changes.map(({ rev }) => ({ id, rev })))
  const leaves = {}
  for (const { id, docs: found } of (await db.bulkGet({ docs, revs: true })).results) {
    leaves[id] ??= {}
    for (const { ok } of found) {
      const { _attachments = {}, _revisions, ...body } = ok
      leaves[id][ok._rev] = [body, Object.keys(_attachments).sort(), _revisions]
    }
  }
  const { rows } = await db.allDocs({ include_docs: true })
  const winners = Object.fromEntries(rows.map(({ id, value }) => [id, value.rev]))
  const attachments = {}
  for (const { id } of rows.filter(({ doc }) => doc._attachments)) {
    const whole = await db.get(id, { attachments: true })
    for (const [name, { content_type, data }] of Object.entries(whole._attachments)) {
      attachments[`${id} ${name}`] = [content_type, data]
    }
  }
  return { leaves, winners, attachments }
}
