/**
 * This node's own entry in the directory: what it says of itself. It is written again every second, and that is its lease (`lease.ts`).
 *
 * A beat that comes late may have been missed: before the lease goes on, the bucket is asked whether there was a hint that this node's connection had ended, and who lived on meanwhile.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { Addresses } from './address.js'
import { Lease, type Looked, type Written } from './lease.js'
import type { Advert, Membership } from './membership.js'
import type { Names } from './names.js'
import type { Certificate } from './seal/certificate.js'
import { readHangup } from './seal/hangup.js'
import { announce, type Incarnation } from './seal/incarnation.js'
import type { SigningKey } from './seal/keys.js'
import type { Bucket, Entry } from './transport/transport.js'

/** What each word counts beside the beats: so little that no run has said so much as to make a beat of it. */
const between = 2 ** -24

export interface PresenceOptions {
  bucket: Bucket
  addresses: Addresses
  rootKey: Uint8Array
  self: Incarnation
  now: () => number
  members: Membership
  names: Names
  seal: (key: string, content: unknown) => Uint8Array
  /** What the bucket has is told here, as the watch tells it. */
  read: (entry: Entry) => void
}

export class Presence {
  readonly #options: PresenceOptions
  readonly #key: string
  readonly #lease = new Lease()
  /** Beats by the clock, and what was said between them. Both are told in one number, which only rises. */
  #beat = { byClock: 0, between: 0 }
  #draining = false
  #connection = 1
  /** The newest beats of the others, by run, that were known when that of our own was sent which the bucket took last. */
  #beats: ReadonlyMap<string, number> = new Map()
  #advert: Advert = {}
  readonly #asked: (() => Advert)[] = []
  #announcement: Uint8Array

  constructor(options: PresenceOptions) {
    const { addresses, self } = options
    this.#options = options
    this.#key = addresses.nodeKey(self.certificate.name)
    this.#announcement = self.announcement
    this.#lease.onLapse(() => {
      this.#connection += 1
    })
  }

  /** The first beat. Rejects if the bucket does not take it. */
  async begin(advert: Advert): Promise<void> {
    this.#advert = advert
    this.#beat.byClock += 1
    await this.#announce()
  }

  /** One by the clock. */
  beat(): void {
    this.#beat.byClock += 1
    this.#sayOnce()
  }

  /** A node that is hung up on and lives says so. */
  answer(): void {
    this.#sayOnce()
  }

  /** Its last word, by which the others tell that it left and was not lost. */
  async end(): Promise<void> {
    this.#draining = true
    await this.#announce(0).catch(() => undefined)
    await this.#options.bucket.delete(this.#key).catch(() => undefined)
  }

  /** Goes on under a renewed certificate. */
  async renew(certificate: Certificate, signing: SigningKey): Promise<void> {
    this.#announcement = announce(certificate, this.#options.self.agreementPublic, signing)
    await this.#announce()
  }

  /** The connection was lost, and is there again. */
  reconnected(): void {
    this.#connection += 1
    void this.#announce().catch(() => undefined)
  }

  /** See `Directory.describe`. */
  async describe(more: Advert, draining = this.#draining): Promise<void> {
    this.mention(more)
    this.#draining = draining
    await this.#announce()
  }

  /** See `Directory.mention`. */
  mention(more: Advert | (() => Advert)): void {
    if (typeof more === 'function') this.#asked.push(more)
    else this.#advert = { ...this.#advert, ...more }
  }

  /** See `Lease.onLapse`. */
  onLapse(listener: () => void): void {
    this.#lease.onLapse(listener)
  }

  /** See `Lease.fence`. */
  fence(): () => Promise<void> {
    return this.#lease.fence()
  }

  /** What nobody takes is not repeated: the next beat comes soon, and says more. */
  #sayOnce(): void {
    void this.#announce(0).catch(() => undefined)
  }

  async #announce(withinMs?: number): Promise<void> {
    const { bucket, now, members, seal, read } = this.#options
    const key = this.#key
    this.#beat.between += 1
    const value = seal(key, [
      this.#announcement,
      this.#beat.byClock + this.#beat.between * between,
      now(),
      this.#draining,
      this.#connection,
      Object.assign({}, this.#advert, ...this.#asked.map((more) => more())),
    ])
    const since = this.#lease.now()
    const beats = members.beats()
    const revision = await bucket.put(key, value, withinMs).catch((error: unknown) => {
      if (ClawmeshError.from(error).data['leaderless']) this.#lease.leaderless()
      throw error
    })
    const looked = this.#lease.isLate ? await this.#look(revision) : undefined
    if (this.#lease.renew(since, revision, members.size, looked)) this.#beats = beats
    read({ key, value, revision })
  }

  /** `revision`: of the beat that came late. */
  async #look(revision: number): Promise<Looked> {
    const at = this.#lease.now()
    const before = this.#lease.revision
    const [hangup, others] = await Promise.all([
      this.#hangup(),
      this.#lease.isOver ? this.#writtenByOthers(revision) : undefined,
    ])
    return { at, hangup, ...(others ? { others, names: this.#options.names.takenBetween(before, revision) } : {}) }
  }

  async #hangup(): Promise<number | undefined> {
    const { bucket, addresses, self, rootKey } = this.#options
    const entry = await bucket.get(addresses.hangupKey(self.certificate.name))
    try {
      const isOurs = entry?.value && readHangup(entry.value, self.certificate.mesh, rootKey).run === self.id
      return isOurs ? entry.revision : undefined
    } catch {
      // Not signed by the authority: as if it were not there.
      return undefined
    }
  }

  /** Since our beat before this one; asked of the bucket, since the watch may lag behind. */
  #writtenByOthers(revision: number): Promise<Written[]> {
    const { bucket, members, read } = this.#options
    return Promise.all(
      members.keysOfOthers().map(async (key) => {
        const entry = await bucket.get(key)
        if (entry?.value === undefined) return { beats: 0, times: 0 }
        read(entry)
        const { run = '', beat = 0 } = members.newestAt(key) ?? {}
        const last = this.#beats.get(run) ?? 0
        // One of after our own is not of the time that is asked about.
        const after = entry.revision > revision ? 1 : 0
        return {
          beats: Math.floor(beat) - Math.floor(last) - after,
          times: Math.round(((beat % 1) - (last % 1)) / between) - after,
        }
      }),
    )
  }
}
