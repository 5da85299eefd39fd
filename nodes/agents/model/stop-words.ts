/** Ends an answer before the first of some words, wherever the pieces of the stream are cut. Pure but for what it holds back. */
export class StopWords {
  readonly #words: readonly string[]
  /** What may yet turn out to be the beginning of one. */
  #held = ''

  constructor(words: readonly string[]) {
    this.#words = words
  }

  /** What may be given out by now, and whether the answer ends there. */
  push(piece: string): { text: string; over: boolean } {
    const text = this.#held + piece
    const at = Math.min(...this.#words.map((word) => text.indexOf(word)).filter((index) => index >= 0))
    if (Number.isFinite(at)) {
      this.#held = ''
      return { text: text.slice(0, at), over: true }
    }
    const keep = Math.max(0, ...this.#words.map((word) => overlap(text, word)))
    this.#held = text.slice(text.length - keep)
    return { text: text.slice(0, text.length - keep), over: false }
  }

  /** What is left when nothing more comes. */
  end(): string {
    return this.#held
  }
}

/** The longest end of the text that the word begins with. */
function overlap(text: string, word: string): number {
  for (let length = Math.min(text.length, word.length - 1); length > 0; length -= 1)
    if (text.endsWith(word.slice(0, length))) return length
  return 0
}
