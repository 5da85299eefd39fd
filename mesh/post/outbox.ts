/** What there is to say to one peer, in order. Letters that are written in one turn of the event loop leave it together. */
import type { Peer } from '../seal/incarnation.js'
import type { Space } from './space.js'

/** More than this in one turn goes as several. The broker takes a megabyte; a letter alone may be larger than a batch. */
const maxBatchBytes = 128 * 1024

export class Outbox {
  readonly peer: Peer
  /** Sent at the end of this turn, if nothing keeps it. */
  isDue = false
  readonly #space: Space
  readonly #letters: Uint8Array[] = []
  #bytes = 0

  /** `space`: of all outboxes, from which the letters in this one are taken. */
  constructor(peer: Peer, space: Space) {
    this.peer = peer
    this.#space = space
  }

  get isEmpty(): boolean {
    return this.#letters.length === 0
  }

  /** Whether one more of this size would make it two batches. */
  isFullFor(bytes: number): boolean {
    return this.#bytes > 0 && this.#bytes + bytes > maxBatchBytes
  }

  /** For which there was space. */
  add(letter: Uint8Array): void {
    this.#letters.push(letter)
    this.#bytes += letter.length
  }

  /** As many letters as go into one batch, one behind the other. */
  take(): Uint8Array {
    let [count, bytes] = [0, 0]
    for (const letter of this.#letters) {
      if (count > 0 && bytes + letter.length > maxBatchBytes) break
      count += 1
      bytes += letter.length
    }
    const letters = this.#letters.splice(0, count)
    this.#bytes -= bytes
    for (const letter of letters) this.#space.give(letter.length)
    const [only] = letters
    return only && letters.length === 1 ? only : joined(letters, bytes)
  }
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
