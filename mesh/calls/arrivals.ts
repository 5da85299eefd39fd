import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { Kind } from '../post/letter.js'

/** An item is `[number, item]`, the end `[how many there were]`: what a wire lost or swapped is seen. */
const arrivalSchema = z.tuple([z.number().int()]).rest(z.unknown())

/** The reader's end of a stream: what has arrived and was not read yet, and how it ended. */
export class Arrivals implements AsyncIterable<unknown> {
  /** Settles with the first sign of life: an item, the end, or the error that it began with. */
  readonly first: Promise<void>
  readonly #items: unknown[] = []
  #next = 0
  #ending: { error?: ClawmeshError } | undefined
  #wake: () => void = () => undefined
  #begun: (error?: ClawmeshError) => void = () => undefined

  constructor() {
    this.first = new Promise((resolve, reject) => {
      this.#begun = (error) => (error ? reject(error) : resolve())
    })
  }

  receive(kind: Kind, body: unknown): void {
    const [number, item] = arrivalSchema.safeParse(body).data ?? []
    if (number !== this.#next) return this.fail(incomplete())
    if (this.#ending) return
    if (kind === 'item') {
      this.#items.push(item)
      this.#next += 1
    } else this.#ending = {}
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

const incomplete = () =>
  new ClawmeshError('UNREACHABLE', 'Part of a stream was lost on its way, or came out of order.', {
    hint: 'Ask again if doing it twice does no harm.',
  })
