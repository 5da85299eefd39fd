import type { ClawmeshError } from '../policies/errors.js'
import type { Kind } from './envelope.js'

/** The reader's end of a stream: what has arrived and was not read yet, and how it ended. */
export class Arrivals implements AsyncIterable<unknown> {
  /** Settles with the first sign of life: an item, the end, or the error that it began with. */
  readonly first: Promise<void>
  readonly #items: unknown[] = []
  #ending: { error?: ClawmeshError } | undefined
  #wake: () => void = () => undefined
  #begun: (error?: ClawmeshError) => void = () => undefined

  constructor() {
    this.first = new Promise((resolve, reject) => {
      this.#begun = (error) => (error ? reject(error) : resolve())
    })
  }

  receive(kind: Kind, body: unknown): void {
    if (kind === 'item') this.#items.push(body)
    else if (kind === 'end') this.#ending ??= {}
    this.#begun()
    this.#wake()
  }

  fail(error: ClawmeshError): void {
    this.#ending ??= { error }
    this.#begun(error)
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<unknown> {
    for (;;) {
      while (this.#items.length > 0) yield this.#items.shift()
      if (this.#ending?.error) throw this.#ending.error
      if (this.#ending) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
