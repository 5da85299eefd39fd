/** Hands on what one piece of work says to one reader, in order: `push` never waits, the reader does. */
export class Feed<T> {
  readonly #items: T[] = []
  #wake: () => void = () => undefined
  #end: { error?: unknown } | undefined

  push(item: T): void {
    this.#items.push(item)
    this.#wake()
  }

  /** Ends the feed with the work, whichever way that ends. */
  follow(work: Promise<unknown>): this {
    work.then(
      () => this.#finish({}),
      (error: unknown) => this.#finish({ error }),
    )
    return this
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift() as T
      if (this.#end) {
        if ('error' in this.#end) throw this.#end.error
        return
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #finish(end: { error?: unknown }): void {
    this.#end = end
    this.#wake()
  }
}
