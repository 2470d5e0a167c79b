// SQLite WASM over OPFS: the worker's end. Documents are JSON text in one table, with an index on each declared path.
//
// Access handles are held by one pool in one worker, so each database has a pool of its own. WAL without shared memory
// needs the exclusive locking mode, set first.

import initialise from '@sqlite.org/sqlite-wasm'

const schema = `
  CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, body TEXT NOT NULL);
  CREATE INDEX IF NOT EXISTS items_shelf ON items (body ->> '$.shelf');
  CREATE INDEX IF NOT EXISTS items_score ON items (body ->> '$.score');`

const texts = {
  insert: 'INSERT INTO items (id, body) VALUES (?, ?)',
  update: 'UPDATE items SET body = json_patch(body, ?2) WHERE id = ?1',
  get: 'SELECT body FROM items WHERE id = ?',
  findEqual: `SELECT body FROM items WHERE body ->> '$.shelf' = ?`,
  findRange: `SELECT body FROM items WHERE body ->> '$.score' >= ? AND body ->> '$.score' < ?
    ORDER BY body ->> '$.score', rowid LIMIT ?`,
  findUndeclared: `SELECT body FROM items WHERE body ->> '$.supplier.code' = ?`,
  first: `SELECT body FROM items ORDER BY body ->> '$.score', rowid LIMIT ?`,
}

// The other file systems are not used; one of them would start a second worker.
globalThis.sqlite3ApiConfig = { disable: { vfs: { opfs: true, 'opfs-vfs': true, 'opfs-wl': true, kvvfs: true } } }

let pool
let db
const statements = {}

const commands = {
  async open(name, durability) {
    const sqlite = await initialise()
    pool = await sqlite.installOpfsSAHPoolVfs({ name: `pool-${name}`, directory: `/${name}` })
    db = new pool.OpfsSAHPoolDb('/items')
    const synchronous = durability === 'strict' ? 'FULL' : 'NORMAL'
    db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous};
      PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY; ${schema}`)
    if (db.selectValue('PRAGMA journal_mode') !== 'wal') throw new Error('SQLite did not take up write-ahead logging')
    for (const [name, text] of Object.entries(texts)) statements[name] = db.prepare(text)
  },
  bulk(rows) {
    db.transaction(() => {
      for (const row of rows) commands.insert(...row)
    })
  },
  insert: (...row) => run('insert', row),
  update: (...parameters) => run('update', parameters),
  get: (id) => select('get', [id])[0],
  findEqual: (...parameters) => list('findEqual', parameters),
  findRange: (...parameters) => list('findRange', parameters),
  findUndeclared: (...parameters) => list('findUndeclared', parameters),
  first: (...parameters) => list('first', parameters),
  close() {
    for (const statement of Object.values(statements)) statement.finalize()
    db.close()
    pool.pauseVfs()
  },
  async destroy() {
    commands.close()
    pool.unpauseVfs()
    await pool.removeVfs()
  },
}

function run(name, parameters) {
  statements[name].bind(parameters).stepReset()
}

function select(name, parameters) {
  const statement = statements[name].bind(parameters)
  const bodies = []
  while (statement.step()) bodies.push(statement.getString(0))
  statement.reset()
  return bodies
}

const list = (name, parameters) => `[${select(name, parameters).join(',')}]`

globalThis.onmessage = async ({ data: { id, method, parameters } }) => {
  try {
    globalThis.postMessage({ id, result: await commands[method](...parameters) })
  } catch (error) {
    globalThis.postMessage({ id, error: `${error.message}` })
  }
}
