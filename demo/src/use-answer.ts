// A query in a page: asks when the page appears, and again whenever a document changes, here or by sync.
//
// The last answer stays while the next is on its way, so that nothing flickers; answers that arrive out of order are
// dropped.

import { useEffect, useState } from 'preact/hooks'
import { onChange } from './data/database'

export interface Answer<T> {
  value: T | undefined
  error: unknown
}

export function useAnswer<T>(ask: () => Promise<T>, inputs: unknown[]): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: undefined, error: undefined })
  useEffect(() => {
    let asked = 0
    let answered = 0
    const run = async () => {
      asked += 1
      const turn = asked
      const next = await ask().then(
        (value) => ({ value, error: undefined }),
        (error: unknown) => ({ value: undefined, error }),
      )
      if (turn < answered) return
      answered = turn
      setAnswer(next)
    }
    const stop = onChange(run)
    void run()
    return () => {
      answered = Number.POSITIVE_INFINITY
      stop()
    }
  }, inputs)
  return answer
}
