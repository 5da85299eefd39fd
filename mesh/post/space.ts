/** How much may wait in one place: in letters and in bytes. */
export class Space {
  #letters: number
  #bytes: number

  constructor(letters: number, bytes: number) {
    this.#letters = letters
    this.#bytes = bytes
  }

  /** False if there is none left. */
  take(bytes: number): boolean {
    if (this.#letters < 1 || this.#bytes < bytes) return false
    this.#letters -= 1
    this.#bytes -= bytes
    return true
  }

  give(bytes: number): void {
    this.#letters += 1
    this.#bytes += bytes
  }
}
