import { Firkin } from '../dist/index.js'

/** A database that is closed when the test `t` ends. */
export function open(t, name, options) {
  const db = new Firkin(name, options)
  t.after(() => db.close())
  return db
}
