// What of a call is spent on the page, and what within the worker: told by stamps on the worker's messages.
//
// The handlers of the worker are wrapped from outside, so the package needs no hook for it. The time from a message that
// has an `id` until the answer with the same `id` leaves is the engine's; what the page waited beyond that is its own work
// (making and parsing messages) and the crossing. Only for calls one after the other.

/** Stamps the one worker of a page; nothing if it has none. */
export async function stampWorkers(workers) {
  if (workers.length !== 1) return undefined
  const [worker] = workers
  await worker.evaluate(() => {
    const begun = new Map()
    const stamped = { engine_ms: 0, calls: 0 }
    const receive = globalThis.onmessage
    const post = globalThis.postMessage.bind(globalThis)
    globalThis.onmessage = (event) => {
      if (event.data?.id !== undefined) begun.set(event.data.id, performance.now())
      return receive(event)
    }
    globalThis.postMessage = (message, ...more) => {
      const began = begun.get(message?.id)
      if (began !== undefined) {
        begun.delete(message.id)
        stamped.engine_ms += performance.now() - began
        stamped.calls += 1
      }
      return post(message, ...more)
    }
    globalThis.stamped = stamped
  })
  return {
    reset: () => worker.evaluate(() => void Object.assign(globalThis.stamped, { engine_ms: 0, calls: 0 })),
    read: () => worker.evaluate(() => ({ ...globalThis.stamped })),
  }
}
