// A network between a page and a server that can fall silent: connections stay open, and nothing arrives any more.

import { connect, createServer } from 'node:net'

/** Passes on what comes to a port of its own, to the server at `url`. */
export async function startNetwork(url) {
  const { hostname, port } = new URL(url)
  const connections = new Set()
  let silent = false
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    const connection = { near, far, dead: silent }
    connections.add(connection)
    const pass = (from, to) => {
      from.on('data', (data) => connection.dead || to.write(data))
      from.on('close', () => {
        connections.delete(connection)
        // What is dead tells nobody that it has ended.
        if (!connection.dead) to.destroy()
      })
      from.on('error', () => {})
    }
    pass(near, far)
    pass(far, near)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** From now on nothing passes, over connections old or new. */
    fallSilent: () => {
      silent = true
      for (const connection of connections) connection.dead = true
    },
    /** New connections work; those that were there stay dead. */
    comeBack: () => {
      silent = false
    },
    stop: async () => {
      for (const { near, far } of connections) {
        near.destroy()
        far.destroy()
      }
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
