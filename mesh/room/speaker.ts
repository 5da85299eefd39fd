/** How this node speaks in a room: gathers what is written in one turn, tells its key to those who have not got it, sends, and says in the end how far it got. */
import { ClawmeshError } from '../../policies/errors.js'
import { decode, encode } from '../codec.js'
import type { Peer } from '../seal/incarnation.js'
import type { Voice } from './voice.js'

export interface PublishOptions {
  /** After this nobody takes it any more; 60 s unless said otherwise. */
  timeoutMs?: number
}

export interface Audience {
  readonly epoch: number
  /** Who is in and can be reached, but for ourselves. */
  readonly others: readonly Peer[]
  /** Since which epoch a run is in. */
  since(id: string): number | undefined
}

export interface SpeakerOptions {
  readonly voice: Voice
  audience(): Audience
  send(to: Peer, frame: Uint8Array): void
  announce(to: Peer, announcement: Uint8Array, from: number): void
  reached(to: Peer, number: number): void
  /** It is on its way. */
  said(value: unknown, epoch: number, bytes: number): void
  now(): number
}

export const maxPostBytes = 512 * 1024

const publishMs = 60_000
const maxBatchBytes = 128 * 1024
/** So long after its last batch it says how far it got, or nobody would miss that one. */
const reachedAfterMs = 250

interface Draft {
  readonly deadline: number
  readonly value: unknown
  readonly bytes: number
  sent(): void
  failed(error: ClawmeshError): void
}

export class Speaker {
  readonly #options: SpeakerOptions
  /** Which batch was the first that was sealed for a member, by its run; and since which epoch that is in. */
  readonly #meantFrom = new Map<string, { number: number; since: number | undefined }>()
  /** Runs that were told the present key. */
  readonly #told = new Set<string>()
  #drafts: Draft[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: SpeakerOptions) {
    this.#options = options
  }

  /** Resolves when it is on its way. */
  publish(value: unknown, { timeoutMs = publishMs }: PublishOptions): Promise<void> {
    const packed = encode(value)
    if (packed.length > maxPostBytes) {
      throw new ClawmeshError(
        'MESSAGE_INVALID',
        `A post of ${packed.length} bytes is too large; the limit is ${maxPostBytes}.`,
        { hint: 'Say it in several.' },
      )
    }
    if (this.#bytes + packed.length > maxBatchBytes) this.flush()
    return new Promise((sent, failed) => {
      const deadline = this.#options.now() + timeoutMs
      // A copy, so that nobody here shares memory with who said it.
      this.#drafts.push({ deadline, value: decode(packed), bytes: packed.length, sent, failed })
      this.#bytes += packed.length
      if (this.#drafts.length === 1) process.nextTick(() => this.flush())
    })
  }

  flush(): void {
    const drafts = this.#drafts
    if (drafts.length === 0) return
    this.#drafts = []
    this.#bytes = 0
    const audience = this.#options.audience()
    // Alone in a room one seals for nobody.
    if (audience.others.length > 0) this.#say(drafts, audience)
    for (const { value, bytes, sent } of drafts) {
      this.#options.said(value, audience.epoch, bytes)
      sent()
    }
  }

  /** The list of members has changed. `isNew`: we are not on it since the epoch since which we were. */
  regroup(isNew: boolean): void {
    const { since } = this.#options.audience()
    // Out and in again between two lists that came here: the others have forgotten us, and expect all that we say to be meant for them.
    if (isNew) this.#meantFrom.clear()
    for (const [id, seat] of this.#meantFrom) if (since(id) !== seat.since) this.#meantFrom.delete(id)
  }

  /** Nothing more is sealed under the present key. */
  changeKey(): void {
    this.#options.voice.give()
  }

  again(from: number, to: number): { frames: Uint8Array[]; oldest: number } {
    return this.#options.voice.again(from, to, maxPostBytes)
  }

  /** What has not been said yet is not: whoever wrote it is told. */
  end(error: ClawmeshError): void {
    clearTimeout(this.#timer)
    for (const { failed } of this.#drafts) failed(error)
    this.#drafts = []
    this.#options.voice.give()
  }

  #say(drafts: readonly Draft[], { epoch, others, since }: Audience): void {
    const { voice, send, announce } = this.#options
    if (voice.isDue(epoch) || others.some(({ id }) => !this.#told.has(id))) {
      const announcement = voice.begin(epoch)
      this.#told.clear()
      for (const peer of others) {
        this.#told.add(peer.id)
        announce(peer, announcement, this.#firstFor(peer, since(peer.id)))
      }
    }
    const deadline = Math.max(...drafts.map((draft) => draft.deadline))
    const frame = voice.seal(encode(drafts.map(({ deadline, value }) => [deadline, value])), deadline)
    for (const peer of others) send(peer, frame)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#tellReached(), reachedAfterMs)
  }

  #firstFor({ id }: Peer, since: number | undefined): number {
    const first = this.#meantFrom.get(id) ?? { number: this.#options.voice.number, since }
    this.#meantFrom.set(id, first)
    return first.number
  }

  #tellReached(): void {
    const { audience, voice, reached } = this.#options
    for (const peer of audience().others) reached(peer, voice.number)
  }
}
