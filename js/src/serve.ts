// The far end of a page's line: what a worker runs, or the page itself with `worker: false`.

import { expectEngine, loadEngine, takeEngine } from './engine.js'
import { reportOf } from './errors.js'
import type { StartThread } from './logic.js'
import { Member } from './member.js'
import type { FromPage, ToPage } from './messages.js'
import { listFiles } from './opfs.js'
import type { Port } from './port.js'

/**
 * Serves the page at the other end of `page`: opens the one database that it names, or lists all. `startLogic` starts what
 * the app's logic runs in.
 */
export function serve(page: Port<ToPage, FromPage>, startLogic: StartThread): void {
  let member: Member | undefined
  page.receive = (message) => {
    if (message.type === 'compiling') expectEngine()
    else if (message.type === 'compiled') takeEngine(message.module)
    else if (message.type === 'list') void list(page, message.wasm)
    else if (message.type === 'open') {
      member = new Member(page, message.name, message.options, message.wasm, startLogic)
      void member.join()
    } else member?.receive(message)
  }
}

async function list(page: Port<ToPage, FromPage>, wasm: string | undefined): Promise<void> {
  try {
    const engine = await loadEngine(wasm)
    page.post({ type: 'listed', names: [...new Set([...(await engine.list()), ...(await listFiles())])] })
  } catch (error) {
    page.post({ type: 'failed', error: reportOf(error) })
  }
}
