// The engine's worker with a platform that misbehaves: real storage otherwise.

import { readFile } from 'node:fs/promises'

const plain = await readFile(new URL('../../js/dist/worker.js', import.meta.url), 'utf8')

/** The script of a worker in which `fault` is run before the library, as a function of the worker. */
export function faultyWorker(fault) {
  return `(${fault})()\n${plain}`
}

/**
 * To be run in a worker: loses its connections to IndexedDB when told so, as WebKit does where the process that keeps the data has
 * died. The transactions that are under way are aborted, or they are `committed` and only said to be aborted, as nobody knows then.
 */
export function losesConnections() {
  const connections = new Set()
  const transactions = new Set()
  let lost = false
  const begin = IDBDatabase.prototype.transaction
  IDBDatabase.prototype.transaction = function (...all) {
    const transaction = begin.apply(this, all)
    connections.add(this)
    transactions.add(transaction)
    let complete
    let abort
    Object.defineProperty(transaction, 'oncomplete', { set: (handler) => (complete = handler) })
    Object.defineProperty(transaction, 'onabort', { set: (handler) => (abort = handler) })
    const ended = (event) => {
      transactions.delete(transaction)
      const handler = event.type === 'complete' && !lost ? complete : abort
      handler?.call(transaction, event)
    }
    transaction.addEventListener('complete', ended)
    transaction.addEventListener('abort', ended)
    return transaction
  }
  new BroadcastChannel('lose-connections').onmessage = async ({ data: committed }) => {
    lost = true
    const closing = [...connections]
    connections.clear()
    for (const connection of closing) connection.close()
    if (!committed) {
      for (const transaction of transactions) {
        try {
          transaction.abort()
        } catch {
          // It is committing already.
        }
      }
    }
    while (transactions.size > 0) await new Promise((resolve) => setTimeout(resolve))
    lost = false
    for (const connection of closing) connection.dispatchEvent(new Event('close'))
  }
}
