/** Tokens by number: two have the same one if, and only if, the model is told the same of them, and what it is told is made once. */
import type { Dictionary } from './dictionary.js'
import { type Features, facts, pieces, type SeenToken, seenAt, type Token, writeFeatures } from './token.js'

const most = 16_384
const longestKept = 64

export class Vocabulary {
  readonly #dictionary: Dictionary
  readonly #numbers = new Map<string, number>()
  readonly #features: Features = {
    spelling: new Int32Array((most + 1) * pieces),
    looks: new Float32Array((most + 1) * facts),
  }
  /** Of the tokens that found no room, each has its own. */
  #last = most

  constructor(dictionary: Dictionary) {
    this.#dictionary = dictionary
  }

  /** Whether there is no room for another; then all numbers are given anew. */
  renew(): boolean {
    if (this.#numbers.size < most && this.#last < 2 ** 30) return false
    this.#numbers.clear()
    this.#features.spelling.fill(0)
    this.#features.looks.fill(0)
    this.#last = most
    return true
  }

  /** From 1 on. */
  numbersOf(text: string, tokens: readonly Token[]): Int32Array {
    return Int32Array.from(tokens, (_, index) => this.#numberOf(seenAt(text, tokens, index)))
  }

  /** Of the tokens from one to before another. */
  featuresOf(text: string, tokens: readonly Token[], numbers: Int32Array, from: number, to: number): Features {
    const made = { spelling: new Int32Array((to - from) * pieces), looks: new Float32Array((to - from) * facts) }
    const { spelling, looks } = this.#features
    for (let index = from; index < to; index += 1) {
      const number = numbers[index] as number
      if (number > most) {
        writeFeatures(seenAt(text, tokens, index), made, index - from, this.#dictionary)
        continue
      }
      made.spelling.set(spelling.subarray(number * pieces, (number + 1) * pieces), (index - from) * pieces)
      made.looks.set(looks.subarray(number * facts, (number + 1) * facts), (index - from) * facts)
    }
    return made
  }

  #numberOf(token: SeenToken): number {
    const { spelled, isSpaced, isFirst } = token
    const key = `${isSpaced ? 's' : ''}${isFirst ? 'f' : ''} ${spelled}`
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    if (spelled.length > longestKept || this.#numbers.size >= most) {
      this.#last += 1
      return this.#last
    }
    const number = this.#numbers.size + 1
    this.#numbers.set(key, number)
    writeFeatures(token, this.#features, number, this.#dictionary)
    return number
  }
}
