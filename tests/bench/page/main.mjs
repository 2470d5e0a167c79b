// The page's end of the bench: opens one database by its adapter, and does what the runner asks of it.
//
// The page is the same for all databases: `?adapter=…&name=…&durability=…`, with `fresh` for a new one, and with `id` and
// `shelf` for a cold start, which is timed from the navigation on: loading, opening, the first get and the first find.

import { digest } from '../documents.mjs'
import { workloads } from './workloads.mjs'

/** What an adapter may answer with, as its README says. */
const known = [
  ...['bulk', 'insert', 'update', 'get', 'findEqual', 'findRange', 'findUndeclared', 'live', 'pull'],
  ...['pullPlain', 'copy', 'plain', 'close', 'destroy'],
]

const asked = Object.fromEntries(new URLSearchParams(location.search))
const first = performance.now()

window.bench = start()

async function start() {
  const { about, open: openUnchecked } = await import(`/bundles/${asked.adapter}/adapter.js`)
  const open = async (name, options) => {
    const opened = await openUnchecked(name, options)
    const unknown = Object.keys(opened).filter((name) => !known.includes(name))
    if (unknown.length > 0) throw new Error(`the adapter has functions that nobody asks for: ${unknown}`)
    return opened
  }
  const loaded = performance.now()
  const opening = { durability: asked.durability, fresh: asked.fresh !== undefined }
  let db = asked.name === undefined ? undefined : await open(asked.name, opening)
  const opened = performance.now()
  const plain = (docs) => (db.plain === undefined ? docs : docs.map(db.plain))
  const cold = asked.id === undefined ? undefined : await coldStart()

  let prepared
  let answers

  async function coldStart() {
    const got = await db.get(asked.id)
    const get_ms = performance.now()
    const found = await db.findEqual?.(asked.shelf)
    const find_ms = performance.now()
    const times = { first_ms: first, loaded_ms: loaded, opened_ms: opened, get_ms }
    if (found !== undefined) times.find_ms = find_ms
    return { times, answers: [got, found].map((docs) => docs && digest(plain([docs].flat()))) }
  }

  return {
    about,
    cold,
    can: (name) => db[name] !== undefined,
    /** Gets a workload ready, so that `run` does nothing but what is measured, and answers how long that took. */
    prepare: async (name, parameters) => {
      prepared = await workloads[name](db, parameters)
    },
    run: async () => {
      const began = performance.now()
      answers = await prepared()
      return performance.now() - began
    },
    /** What the answers of the last run come to. */
    answers: () => answers?.map((docs) => digest(plain(docs))),
    open: async (name, options) => {
      db = await open(name, options)
    },
    close: () => db.close(),
    destroy: () => db.destroy(),
  }
}
