/** How much may be on the way of what one gives and another takes. */
export class Window {
  readonly #most: number
  readonly #signal: AbortSignal
  #outside = 0
  #wake: () => void = () => undefined

  /** @param most bytes; what begins below it is let through whole */
  constructor(most: number, signal: AbortSignal) {
    this.#most = most
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  sent(bytes: number): void {
    this.#outside += bytes
  }

  taken(bytes: number): void {
    this.#outside -= bytes
    this.#wake()
  }

  /** Resolves when more may be given. Rejects with what the signal was aborted with. */
  async room(): Promise<void> {
    while (this.#outside >= this.#most && !this.#signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    this.#signal.throwIfAborted()
  }
}
