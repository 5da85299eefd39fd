import { ClawmeshError } from '../policies/errors.js'

/** So many in a row, and it is no accident. */
const most = 3
const [firstMs, longestMs] = [15_000, 300_000]

/**
 * A server that is there and answers nothing, as one whose GPU has no memory left: it lists its models and fails each question, faster than any that works. After three in a row nobody
 * is to ask it for a while, then one may, and each further failure doubles the while.
 */
export class Failing {
  readonly #now: () => number
  #inRow = 0
  #until = 0

  /** `now` in milliseconds; of this process, if left out. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  answered(): void {
    this.#inRow = 0
  }

  /** What a question ended with before any of its answer was there; what is not the server's fault does not count. */
  failed(thrown: unknown): void {
    if (ClawmeshError.from(thrown).data['away'] !== true) return
    this.#inRow += 1
    if (this.#inRow >= most) this.#until = this.#now() + Math.min(longestMs, firstMs * 2 ** (this.#inRow - most))
  }

  /** Why it is not to be asked now, for all of the mesh to read: without the server's own words, which may repeat what it was asked. */
  get why(): string | undefined {
    if (this.#inRow < most || this.#now() >= this.#until) return undefined
    return `its server failed ${this.#inRow} questions in a row; its log says why`
  }
}
