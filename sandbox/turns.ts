/**
 * So many at once, in the order in which they came. Whoever waits for a person meanwhile is stepped aside for.
 *
 *     const turn = await turns.take(signal)
 *     try { … await turn.aside(() => askSomebody()) … } finally { turn.end() }
 */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(atOnce: number) {
    this.#free = atOnce
  }

  /** Rejects with the signal's reason. */
  async take(signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted()
    await this.#enter(signal)
    return new Turn(
      () => this.#leave(),
      () => this.#enter(signal),
    )
  }

  #enter(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(enter)
    })
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}

export class Turn {
  readonly #leave: () => void
  readonly #enter: () => Promise<void>
  #aside = 0
  #held = true
  #ended = false
  #entering: Promise<void> | undefined

  constructor(leave: () => void, enter: () => Promise<void>) {
    this.#leave = leave
    this.#enter = enter
  }

  /** What is waited for needs no turn: it is given away while all that this one does is wait, and taken again before it goes on. */
  async aside<T>(wait: () => Promise<T>): Promise<T> {
    this.#aside += 1
    this.#release()
    try {
      return await wait()
    } finally {
      this.#aside -= 1
      if (this.#aside === 0 && !this.#ended) await this.#back()
    }
  }

  /** All that come back meanwhile come back by one turn. */
  #back(): Promise<void> {
    this.#entering ??= this.#enter()
      .then(() => {
        // By now it may have ended, or wait again.
        if (this.#ended || this.#aside > 0) this.#leave()
        else this.#held = true
      })
      .finally(() => {
        this.#entering = undefined
      })
    return this.#entering
  }

  end(): void {
    this.#ended = true
    this.#release()
  }

  #release(): void {
    if (!this.#held) return
    this.#held = false
    this.#leave()
  }
}
