/**
 * The places of a bucket, written over and never deleted, so that nothing piles up on the broker's disk however much is sent.
 *
 * 1. A place is written by compare-and-swap on what stood there: a second office that writes too is seen by the first.
 * 2. Where the broker's answer is lost, what stands there says whether it was written. So it is tried until one of both is known.
 */
import { setTimeout } from 'node:timers/promises'
import { ClawmeshError } from '../../policies/errors.js'
import { sameBytes } from '../seal/keys.js'
import type { Bucket } from '../transport/transport.js'
import { mailLimits, openStanding, type Standing, sealStanding } from './mail.js'

export interface Place {
  readonly key: string
  revision: number
}

const againMs = 200

export class Places {
  readonly #bucket: Bucket
  readonly #key: Uint8Array
  readonly #free: Place[] = []
  #next = 0

  constructor(bucket: Bucket, key: Uint8Array) {
    this.#bucket = bucket
    this.#key = key
  }

  /** What stands there, in the order in which it was written, and how many places hold what does not open: they are left as they are. */
  async read(): Promise<{ standing: { place: Place; standing: Standing }[]; unreadable: number }> {
    const entries = new Map<string, { value: Uint8Array; revision: number }>()
    const watch = await this.#bucket.watch(({ key, value, revision }) => {
      if (value) entries.set(key, { value, revision })
    })
    watch.unsubscribe()
    const standing = []
    for (const [key, { value, revision }] of [...entries].sort(([, a], [, b]) => a.revision - b.revision)) {
      this.#next = Math.max(this.#next, numberOf(key) + 1)
      try {
        standing.push({ place: { key, revision }, standing: openStanding(value, key, this.#key) })
      } catch {}
    }
    return { standing, unreadable: entries.size - standing.length }
  }

  /** Undefined where none is left. */
  take(): Place | undefined {
    const free = this.#free.pop()
    if (free || this.#next >= mailLimits.messages) return free
    return { key: `place.${this.#next++}`, revision: 0 }
  }

  /** What stands there may be written over. */
  give(place: Place): void {
    this.#free.push(place)
  }

  /** Resolves when the broker has it. Rejects with FENCED if another office has written there, with DISK_FULL, and with what `signal` says when it would have to try again. */
  async write(place: Place, standing: Standing, signal: AbortSignal): Promise<void> {
    const value = sealStanding(standing, place.key, this.#key)
    for (;;) {
      try {
        const revision =
          (await this.#bucket.swap(place.key, value, place.revision)) ?? (await this.#isThere(place, value))
        place.revision = revision
        return
      } catch (error) {
        const failure = ClawmeshError.from(error)
        if (!failure.retry || failure.code === 'DISK_FULL') throw failure
        await setTimeout(againMs, undefined, { ref: false })
        signal.throwIfAborted()
      }
    }
  }

  async #isThere({ key }: Place, value: Uint8Array): Promise<number> {
    const entry = await this.#bucket.get(key)
    if (entry?.value && sameBytes(entry.value, value)) return entry.revision
    throw new ClawmeshError('FENCED', 'Another process keeps the mail of this mesh.', {
      hint: 'Nothing more is kept or delivered by this one.',
    })
  }
}

const numberOf = (key: string): number => Number(key.slice(key.indexOf('.') + 1))
