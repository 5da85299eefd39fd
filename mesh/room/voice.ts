/**
 * What one node says in a room: numbers its batches, seals each under a key of its own, signs it, and keeps the sealed ones for a while for those who missed them.
 *
 * 1. A key is used once and gone: from what is held now nobody computes what was held before (`audit/ratchet.ts`).
 * 2. A chain of keys serves one list of members. It is given up for a new one, that is not computed from it, with the next list, after so many batches and after so
 *    long a time, and when a member is no longer to be trusted.
 */
import { randomFillSync } from 'node:crypto'
import { Ratchet } from '../audit/ratchet.js'
import { sealWith } from '../seal/box.js'
import type { SigningKey } from '../seal/keys.js'
import { writeAnnouncement } from './announcement.js'
import { writeRoomFrame } from './frame.js'

export const keyBatches = 1024
export const keyMs = 2 * 60_000

const mostKept = 512
const mostKeptBytes = 4 * 1024 * 1024

interface Chain {
  readonly ratchet: Ratchet
  readonly epoch: number
  readonly first: number
  readonly begun: number
}

export interface VoiceOptions {
  readonly room: string
  /** Id of the run that speaks. */
  readonly publisher: string
  readonly signing: SigningKey
  now(): number
}

export class Voice {
  readonly #options: VoiceOptions
  #chain: Chain | undefined
  #number = 0
  readonly #kept: Uint8Array[] = []
  #keptBytes = 0

  constructor(options: VoiceOptions) {
    this.#options = options
  }

  /** Of the next batch. */
  get number(): number {
    return this.#number
  }

  isDue(epoch: number): boolean {
    const chain = this.#chain
    if (!chain || chain.epoch !== epoch) return true
    return this.#number - chain.first >= keyBatches || Math.abs(this.#options.now() - chain.begun) >= keyMs
  }

  /** The next batch is sealed under a new key. */
  give(): void {
    this.#chain?.ratchet.wipe()
    this.#chain = undefined
  }

  /** Begins a chain of keys for this list of members: its announcement, which has the first key in the clear. */
  begin(epoch: number): Uint8Array {
    this.give()
    const { room, publisher, signing, now } = this.#options
    const key = randomFillSync(new Uint8Array(new ArrayBuffer(32)))
    const first = this.#number
    const announcement = writeAnnouncement({ room, publisher, epoch, first, key }, signing)
    this.#chain = { ratchet: new Ratchet(key), epoch, first, begun: now() }
    return announcement
  }

  seal(plain: Uint8Array, deadline: number): Uint8Array {
    const chain = this.#chain
    if (!chain) throw new TypeError('no key was begun')
    const { room, publisher, signing } = this.#options
    const { epoch, first } = chain
    const head = { room, publisher, epoch, first, number: this.#number, deadline }
    const frame = chain.ratchet.step((key) => writeRoomFrame(head, (bound) => sealWith(key, plain, bound), signing))
    this.#number += 1
    this.#keep(frame)
    return frame
  }

  /** Batches from a number on and before another, as they were sent: not more than `maxBytes` but for the first; and the oldest that is still kept. */
  again(from: number, to: number, maxBytes: number): { frames: Uint8Array[]; oldest: number } {
    const oldest = this.#number - this.#kept.length
    const frames: Uint8Array[] = []
    let bytes = 0
    for (let number = Math.max(from, oldest); number < Math.min(to, this.#number); number += 1) {
      const frame = this.#kept[number - oldest]
      bytes += frame?.length ?? 0
      if (!frame || (frames.length > 0 && bytes > maxBytes)) break
      frames.push(frame)
    }
    return { frames, oldest }
  }

  #keep(frame: Uint8Array): void {
    this.#kept.push(frame)
    this.#keptBytes += frame.length
    while (this.#kept.length > mostKept || this.#keptBytes > mostKeptBytes)
      this.#keptBytes -= this.#kept.shift()?.length ?? 0
  }
}
