// SQLite WASM over OPFS: the page's end. The database is in a worker, which OPFS's synchronous handles ask for.

export const about = {
  title: 'SQLite',
  packages: ['@sqlite.org/sqlite-wasm'],
  relaxed: 'OPFS, WAL, synchronous=NORMAL (not flushed at a commit)',
  strict: 'OPFS, WAL, synchronous=FULL (flushed at each commit)',
  notes:
    'SAH pool, indexes on two expressions, 32 MiB of cache; in a worker, one tab only; live asks again after a write',
}

export async function open(name, { durability }) {
  const worker = new Worker(new URL('./lib/sqlite-worker.mjs', import.meta.url), { type: 'module', name: 'sqlite' })
  const waiting = new Map()
  let calls = 0
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) resolve(result)
    else reject(new Error(error))
  }
  worker.onerror = ({ message }) => {
    for (const { reject } of waiting.values()) reject(new Error(`the worker failed: ${message}`))
  }
  const call = (method, ...parameters) =>
    new Promise((resolve, reject) => {
      calls += 1
      waiting.set(calls, { resolve, reject })
      worker.postMessage({ id: calls, method, parameters })
    })
  // Several documents cross as one text, which is parsed once.
  const find = async (method, ...parameters) => JSON.parse(await call(method, ...parameters))
  let written = () => {}
  await call('open', name, durability)
  return {
    bulk: (docs) =>
      call(
        'bulk',
        docs.map((doc) => [doc._id, JSON.stringify(doc)]),
      ),
    insert: (doc) => call('insert', doc._id, JSON.stringify(doc)),
    update: async (id, changes) => {
      await call('update', id, JSON.stringify(changes))
      written()
    },
    get: async (id) => JSON.parse(await call('get', id)),
    findEqual: (shelf) => find('findEqual', shelf),
    findRange: (low, high, limit) => find('findRange', low, high, limit),
    findUndeclared: (code) => find('findUndeclared', code),
    live: async (limit, heard) => {
      written = async () => heard(await find('first', limit))
      await written()
      return () => {
        written = () => {}
      }
    },
    close: async () => {
      await call('close')
      worker.terminate()
    },
    destroy: async () => {
      await call('destroy')
      worker.terminate()
    },
  }
}
