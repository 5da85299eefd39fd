/**
 * What the network said of a token, by all that it saw of it: the token itself and `sight` neighbours to each side, or the end of the text. Seeing the same it says the
 * same, so a text that is looked at again after a few words were replaced, or with a turn more of the talk, costs what is new in it.
 *
 *     const known = seen.find(ids)                                  // for each token where its shares stand, or -1
 *     seen.add(ids, shares)
 *
 * 1. What is compared is every token of the sight, one by one; a hash only says where to compare.
 */

/** Tokens that are kept. When they are full all is forgotten: nothing is kept for long that nobody asks about. */
const most = 32_768
/** Stands beyond both ends of a text; no token has it. */
const nothing = 0
const factor = 0x01000193

export class Seen {
  readonly #sight: number
  readonly #columns: number
  readonly #ids = new Int32Array(most)
  readonly #shares: Float32Array
  readonly #places = new Map<number, number>()
  #length = 0
  /** What the token that leaves the sight has been multiplied by. */
  readonly #oldest: number

  constructor(sight: number, columns: number) {
    this.#sight = sight
    this.#columns = columns
    this.#shares = new Float32Array(most * columns)
    let oldest = 1
    for (let step = 0; step < 2 * sight; step += 1) oldest = Math.imul(oldest, factor)
    this.#oldest = oldest
  }

  forget(): void {
    this.#places.clear()
    this.#length = 0
  }

  /** @param ids of the tokens: two have the same one if, and only if, the network sees the same in them */
  find(ids: Int32Array): Int32Array {
    const found = new Int32Array(ids.length).fill(-1)
    if (this.#length === 0) return found
    const [text, hashes] = [this.#laid(ids), this.#hashesOf(ids)]
    let before = -1
    for (let index = 0; index < ids.length; index += 1) {
      const next = before + 1
      // What follows on what was seen has one new neighbour alone.
      const isNext = before >= 0 && next + this.#sight < this.#length
      if (isNext && this.#ids[next + this.#sight] === text[index + 2 * this.#sight]) before = next
      else before = this.#isAt(this.#places.get(hashes[index] as number), text, index)
      found[index] = before
    }
    return found
  }

  /** @param place as found */
  sharesAt(place: number): Float32Array {
    return this.#shares.subarray(place * this.#columns, (place + 1) * this.#columns)
  }

  add(ids: Int32Array, shares: Float32Array): void {
    const text = this.#laid(ids)
    if (text.length > most) return
    if (this.#length + text.length > most) this.forget()
    const start = this.#length + this.#sight
    this.#ids.set(text, this.#length)
    this.#shares.set(shares, start * this.#columns)
    this.#length += text.length
    for (const [index, hash] of this.#hashesOf(ids).entries()) this.#places.set(hash, start + index)
  }

  /** With nothing beyond its ends. */
  #laid(ids: Int32Array): Int32Array {
    const text = new Int32Array(ids.length + 2 * this.#sight).fill(nothing)
    text.set(ids, this.#sight)
    return text
  }

  #isAt(place: number | undefined, text: Int32Array, index: number): number {
    if (place === undefined) return -1
    const from = place - this.#sight
    for (let at = 0; at <= 2 * this.#sight; at += 1) if (this.#ids[from + at] !== text[index + at]) return -1
    return place
  }

  /** Of the sight of each token. */
  #hashesOf(ids: Int32Array): Int32Array {
    const text = this.#laid(ids)
    const hashes = new Int32Array(ids.length)
    const width = 2 * this.#sight + 1
    let hash = 0
    for (let at = 0; at < text.length; at += 1) {
      if (at >= width) hash = (hash - Math.imul(text[at - width] as number, this.#oldest)) | 0
      hash = (Math.imul(hash, factor) + (text[at] as number)) | 0
      if (at >= width - 1) hashes[at - width + 1] = hash
    }
    return hashes
  }
}
