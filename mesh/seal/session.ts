/**
 * What a handshake leaves behind between two runs: a key for each direction and a counter for each.
 *
 * 1. A counter is used once: the sealing side counts up, the opening side remembers the last `windowLength` counters and takes nothing older.
 *    What was sent and never came shows as a hole among them: nobody else says so when a broker drops it.
 * 2. A session ages. Past `renewAfter` its sender makes a new one, past `sendUntil` nothing is sealed with it, past `openUntil` nothing is opened and
 *    its keys are gone: a memory that is stolen later opens nothing that was said before.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { open, seal } from './aead.js'
import { type LetterFrame, letterFrame, letterHeadOf } from './frame.js'
import type { Peer } from './incarnation.js'
import type { DirectionKeys } from './noise.js'

/** Milliseconds of age, and messages. */
export const renewAfterMs = 120_000
export const sendUntilMs = 180_000
export const openUntilMs = 240_000
export const renewAfterMessages = 2 ** 16

/** How far out of order a letter may come. */
export const windowLength = 1024

export class Session {
  readonly peer: Peer
  readonly #theirIndex: number
  readonly #keys: DirectionKeys
  readonly #window = new ReplayWindow()
  readonly #begun: number
  #sent = 0
  #opened = 0

  /** `theirIndex` is what the other side calls this session. `now` is on this machine's monotonic clock, in milliseconds, here and below. */
  constructor(peer: Peer, theirIndex: number, keys: DirectionKeys, now: number) {
    this.peer = peer
    this.#theirIndex = theirIndex
    this.#keys = keys
    this.#begun = now
  }

  isDue(now: number): boolean {
    return this.#sent >= renewAfterMessages || now - this.#begun > renewAfterMs
  }

  maySend(now: number): boolean {
    return this.#sent < 2 * renewAfterMessages && now - this.#begun < sendUntilMs
  }

  mayOpen(now: number): boolean {
    return now - this.#begun < openUntilMs
  }

  /** The frame of a letter. */
  seal(plain: Uint8Array): Uint8Array {
    const counter = this.#sent++
    const head = letterHeadOf(this.#theirIndex, counter)
    return letterFrame(head, seal(this.#keys.send, counter, head, plain))
  }

  open({ counter, head, sealed }: LetterFrame): Uint8Array {
    if (!this.#window.isNew(counter)) throw new ClawmeshError('UNAUTHENTIC', 'A message arrived a second time.')
    const plain = open(this.#keys.receive, counter, head, sealed)
    // Only what opened counts: a forger must not be able to burn counters.
    this.#window.take(counter)
    this.#opened += 1
    return plain
  }

  /** How many frames have not come that were sent before one that has. */
  get missing(): number {
    return this.#window.next - this.#opened
  }

  /** Forgets the keys. */
  end(): void {
    this.#keys.send.fill(0)
    this.#keys.receive.fill(0)
  }
}

/** The newest `windowLength` counters as a ring of bits; what is older counts as seen. */
class ReplayWindow {
  readonly #words = new Uint32Array(windowLength / 32)
  /** One more than the highest counter that was taken. */
  #next = 0

  get next(): number {
    return this.#next
  }

  isNew(counter: number): boolean {
    if (counter >= this.#next) return true
    if (counter < this.#next - windowLength) return false
    return (this.#word(counter) & bit(counter)) === 0
  }

  take(counter: number): void {
    // The ring turns: what the new counters displace is forgotten, at most all of it.
    for (let skipped = Math.max(this.#next, counter - windowLength + 1); skipped <= counter; skipped += 1)
      this.#words[slot(skipped)] = this.#word(skipped) & ~bit(skipped)
    this.#words[slot(counter)] = this.#word(counter) | bit(counter)
    this.#next = Math.max(this.#next, counter + 1)
  }

  #word(counter: number): number {
    return this.#words[slot(counter)] ?? 0
  }
}

const slot = (counter: number) => Math.floor((counter % windowLength) / 32)
const bit = (counter: number) => 1 << (counter % 32)
