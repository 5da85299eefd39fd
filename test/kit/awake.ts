/**
 * A stopwatch that stands still when this process does: what must come soon must come within so much of the time in which the process ran at all. A stretch without processor time
 * counts as one late tick.
 */
export class Awake {
  #ran = 0
  #looked = performance.now()
  readonly #timer = setInterval(() => this.#look(), tickMs).unref()

  /** Milliseconds since it was begun. */
  get ms(): number {
    this.#look()
    return this.#ran
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    this.#ran += Math.min(now - this.#looked, mostLateMs)
    this.#looked = now
  }
}

const tickMs = 20
const mostLateMs = 100
