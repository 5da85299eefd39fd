/**
 * The places of a bucket, and beside them what is too large for one. They are written over and never deleted, so that nothing piles up on the broker's disk however much is sent.
 *
 * 1. A place is written by compare-and-swap on what stood there: a second office that writes too is seen by the first.
 * 2. Where the broker's answer is lost, what stands there says whether it was written. So it is tried until one of both is known.
 * 3. Pieces that no place names are removed where an office begins. One that another has followed may still write such a place: it is not acknowledged there.
 */
import { setTimeout } from 'node:timers/promises'
import { ClawmeshError } from '../../policies/errors.js'
import { Bodies } from '../body.js'
import { randomBytes, sameBytes } from '../seal/keys.js'
import type { Bucket } from '../transport/transport.js'
import { type Mail, mailLimits, openStanding, type Standing, sealStanding } from './mail.js'

export interface Place {
  readonly key: string
  revision: number
}

export interface Found {
  /** In the order in which it was written. */
  readonly standing: { place: Place; standing: Standing }[]
  /** How many places hold what does not open: they are left as they are. */
  readonly unreadable: number
}

const againMs = 200
/** Written anew by each office that begins. */
const reignKey = 'office'

export class Places {
  readonly #bucket: Bucket
  readonly #key: Uint8Array
  readonly #bodies: Bodies
  readonly #free: Place[] = []
  #next = 0
  /** The revision at which this office began. */
  #reign = 0

  constructor(bucket: Bucket, key: Uint8Array) {
    this.#bucket = bucket
    this.#key = key
    this.#bodies = new Bodies(bucket, 'mail', key)
  }

  /** What stands there, for an office that begins. */
  async takeOver(): Promise<Found> {
    this.#reign = await this.#bucket.put(reignKey, randomBytes(16))
    // Before the places are read: what is written from now on is none of these.
    const unnamed = await this.#bodies.ids()
    const found = await this.read()
    for (const { standing } of found.standing)
      if (standing.state === 'waiting' && standing.mail.body) unnamed.delete(standing.mail.body.id)
    // What a place names that does not open is not known.
    if (found.unreadable === 0) for (const id of unnamed) await this.#bodies.purge({ id })
    return found
  }

  /** What stands there; changes nothing. */
  async read(): Promise<Found> {
    const entries = new Map<string, { value: Uint8Array; revision: number }>()
    const watch = await this.#bucket.watch(({ key, value, revision }) => {
      if (value) entries.set(key, { value, revision })
    }, 'place.*')
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

  /**
   * Resolves when the broker has it. `whole` is what it says, in msgpack. Rejects with FENCED if another office has written there, or has begun meanwhile, with DISK_FULL, with
   * BROKER_UNAVAILABLE where pieces of it cannot be written, and with what `signal` says when it would have to try again.
   */
  async keep(place: Place, mail: Mail, whole: Uint8Array, signal: AbortSignal): Promise<void> {
    const { body } = mail
    if (!body) return this.#write(place, { state: 'waiting', mail }, signal)
    try {
      await this.#bodies.write(body, whole)
      await this.#write(place, { state: 'waiting', mail }, signal)
      // The place names them by now: whether that counts has to be known.
      const reign = await answered(() => this.#bucket.get(reignKey), signal)
      if (reign?.revision !== this.#reign) throw fenced()
    } catch (error) {
      const failure = ClawmeshError.from(error)
      // Whether the place names them is not known where this office is over: the next one sees.
      if (failure.code !== 'FENCED' && !signal.aborted) await this.#bodies.purge(body).catch(() => undefined)
      throw failure
    }
  }

  /** What it says. Rejects with UNAUTHENTIC if that is not what was kept. */
  async contentOf({ content, body }: Mail): Promise<unknown> {
    return body ? this.#bodies.read(body) : content
  }

  /** Nothing but its id and a digest is left on disk. Rejects as `keep` does. */
  async close(place: Place, { id, what, deadline: until, body }: Mail, signal: AbortSignal): Promise<void> {
    await this.#write(place, { state: 'taken', id, what, until }, signal)
    if (body) await answered(() => this.#bodies.purge(body), signal)
  }

  async #write(place: Place, standing: Standing, signal: AbortSignal): Promise<void> {
    const value = sealStanding(standing, place.key, this.#key)
    const written = async () =>
      (await this.#bucket.swap(place.key, value, place.revision)) ?? (await this.#isThere(place, value))
    place.revision = await answered(written, signal)
  }

  async #isThere({ key }: Place, value: Uint8Array): Promise<number> {
    const entry = await this.#bucket.get(key)
    if (entry?.value && sameBytes(entry.value, value)) return entry.revision
    throw fenced()
  }
}

/** Tries until the broker has said yes or no. */
async function answered<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const failure = ClawmeshError.from(error)
      if (!failure.retry || failure.code === 'DISK_FULL') throw failure
      await setTimeout(againMs, undefined, { ref: false })
      signal.throwIfAborted()
    }
  }
}

const fenced = () =>
  new ClawmeshError('FENCED', 'Another process keeps the mail of this mesh.', {
    hint: 'Nothing more is kept or delivered by this one.',
  })

const numberOf = (key: string): number => Number(key.slice(key.indexOf('.') + 1))
