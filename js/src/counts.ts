// How much a database holds, as an import tells it.

import type { ChangesResult, Info } from './types.js'

/** How many rows of the feed are looked at at a time. */
const PAGE = 1000

/** How many documents, deleted ones included, and current revisions there are. */
export interface Counts {
  documents: number
  revisions: number
}

/** Counts what the database holds now, which `ask` asks. */
export async function countAll(ask: (method: string, payload: object) => Promise<unknown>): Promise<Counts> {
  const { doc_count, doc_del_count } = (await ask('info', {})) as Info
  let [since, revisions]: [string | number, number] = [0, 0]
  for (;;) {
    const page = (await ask('changes', { since, limit: PAGE, style: 'all_docs' })) as ChangesResult<object>
    if (page.results.length === 0) return { documents: doc_count + doc_del_count, revisions }
    for (const { changes } of page.results) revisions += changes.length
    since = page.last_seq
  }
}
