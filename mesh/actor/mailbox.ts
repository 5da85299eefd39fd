/** Does its work and settles its own errors: never throws, never rejects. */
type Job = () => void | Promise<void>

/** A bounded queue in front of an actor: jobs start in order, `concurrency` at once; a full one refuses. */
export class Mailbox {
  readonly #capacity: number
  #concurrency: number
  readonly #waiting: Job[] = []
  #running = 0
  #closed = false

  constructor(capacity: number, concurrency: number) {
    this.#capacity = capacity
    this.#concurrency = concurrency
  }

  get depth(): number {
    return this.#waiting.length + this.#running
  }

  /** False if the job was not taken. */
  offer(job: Job): boolean {
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
      const work = job()
      if (work) void work.then(this.#done)
      else this.#running -= 1
    }
  }

  readonly #done = () => {
    this.#running -= 1
    this.#next()
  }
}
