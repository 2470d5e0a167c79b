// A queue between one who pushes and one who iterates.

/** Values in the order in which they were pushed; iteration ends after `end`, or throws after `fail`. */
export class Queue<Value> implements AsyncIterableIterator<Value> {
  readonly #values: Value[] = []
  readonly #whenLeft: () => void
  #error: { error: unknown } | undefined
  #ended = false
  #wake: () => void = () => {}

  /** `whenLeft` is called when the one who iterates stops early. */
  constructor(whenLeft: () => void = () => {}) {
    this.#whenLeft = whenLeft
  }

  push(value: Value): void {
    if (this.#ended) return
    this.#values.push(value)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  fail(error: unknown): void {
    this.#error = { error }
    this.end()
  }

  async next(): Promise<IteratorResult<Value, undefined>> {
    for (;;) {
      const [value] = this.#values.splice(0, 1)
      if (value !== undefined) return { done: false, value }
      if (this.#error !== undefined) {
        const { error } = this.#error
        this.#error = undefined
        throw error
      }
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
  }

  async return(): Promise<IteratorResult<Value, undefined>> {
    this.#values.length = 0
    this.end()
    this.#whenLeft()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
