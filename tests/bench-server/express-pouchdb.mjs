// express-pouchdb over LevelDB as a process of its own: `node express-pouchdb.mjs FOLDER`. It prints its URL once it listens.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const express = require('express')
const PouchDB = require('pouchdb')
const folder = process.argv[2]
const app = express()
app.use(
  '/',
  require('express-pouchdb')(PouchDB.defaults({ prefix: `${folder}/` }), {
    configPath: `${folder}/config.json`,
    logPath: `${folder}/log.txt`,
  }),
)
const server = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
