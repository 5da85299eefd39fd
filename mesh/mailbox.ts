/** A bounded queue in front of an actor: jobs start in order, `concurrency` at once; a full one refuses. */
export class Mailbox {
  readonly #capacity: number
  #concurrency: number
  readonly #waiting: (() => Promise<void>)[] = []
  #running = 0
  #closed = false

  constructor(capacity: number, concurrency: number) {
    this.#capacity = capacity
    this.#concurrency = concurrency
  }

  get depth(): number {
    return this.#waiting.length + this.#running
  }

  /** False if the job was not taken. Jobs settle their own errors and never reject. */
  offer(job: () => Promise<void>): boolean {
    if (this.#closed || this.#waiting.length >= this.#capacity) return false
    this.#waiting.push(job)
    this.#next()
    return true
  }

  /** Takes nothing more, and lets all that waits begin now: each job finds that its actor has ended and tells its caller. */
  close(): void {
    this.#closed = true
    this.#concurrency = Number.POSITIVE_INFINITY
    this.#next()
  }

  #next(): void {
    while (this.#running < this.#concurrency) {
      const job = this.#waiting.shift()
      if (!job) return
      this.#running += 1
      void job().finally(() => {
        this.#running -= 1
        this.#next()
      })
    }
  }
}
