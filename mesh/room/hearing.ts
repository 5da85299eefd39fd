/**
 * What one node hears of one publisher in a room: batches in the order of their numbers, each once. Pure.
 *
 * 1. A batch is opened when all before it have been, or were given up. What comes early is held, sealed as it is; so keys never wait for batches, and the key of
 *    each batch is gone when the next one's is made.
 * 2. What is held is signed by the publisher and bounded. What is beyond that is refused, and shows as a gap.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { Ratchet } from '../audit/ratchet.js'
import { Space } from '../post/space.js'
import { openWith } from '../seal/box.js'
import type { Peer } from '../seal/incarnation.js'
import { digest, sameBytes } from '../seal/keys.js'
import type { Announcement } from './announcement.js'
import type { RoomFrame } from './frame.js'

const mostHeld = 512
const mostHeldBytes = 4 * 1024 * 1024
const mostAhead = 4096
const mostChains = 16

interface Chain {
  readonly ratchet: Ratchet
  readonly epoch: number
  readonly first: number
  /** Of the key as it was announced. */
  readonly hash: Uint8Array
  /** The number of the batch whose key is next. */
  at: number
}

export class Hearing {
  readonly publisher: Peer
  /** Since which epoch it has been in. */
  readonly since: number
  #next: number | undefined
  /** By `first`, upwards. */
  #chains: Chain[] = []
  readonly #held = new Map<number, RoomFrame>()
  readonly #space = new Space(mostHeld, mostHeldBytes)
  /** All before this were sent, by the publisher's word. */
  #reached = 0
  /** The highest `first` that was left behind. */
  #passed = -1

  constructor(publisher: Peer, since: number) {
    this.publisher = publisher
    this.since = since
  }

  /** `from`: the first batch that was meant for us. Overwrites the key. Throws UNAUTHENTIC for a second key at one place. */
  announce({ epoch, first, key }: Announcement, from: number): void {
    const hash = digest(key)
    const known = this.#chains.find((chain) => chain.first === first)
    if (known) {
      key.fill(0)
      if (sameBytes(known.hash, hash)) return
      throw new ClawmeshError('UNAUTHENTIC', 'Two keys of a room were announced for one place.')
    }
    // One that was told again, because its first telling was not acknowledged.
    if (first <= this.#passed) return void key.fill(0)
    this.#next ??= from
    this.#chains.push({ ratchet: new Ratchet(key), epoch, first, hash, at: first })
    this.#chains.sort((a, b) => a.first - b.first)
    if (this.#chains.length > mostChains) this.#leave(this.#chains[1])
  }

  /** Throws UNAUTHENTIC for what was heard before or cannot be meant, before anything is spent on it. */
  check({ number, first }: RoomFrame): void {
    const next = this.#next ?? first
    if (number < (this.#next ?? 0) || this.#held.has(number))
      throw new ClawmeshError('UNAUTHENTIC', 'A post of a room arrived a second time.')
    if (number >= next + mostAhead)
      throw new ClawmeshError('UNAUTHENTIC', 'A post of a room arrived that is far ahead of all others.')
  }

  hold(frame: RoomFrame): void {
    if (!this.#space.take(frame.sealed.length))
      throw new ClawmeshError('MAILBOX_FULL', 'Too many posts of a room wait for one before them.')
    this.#held.set(frame.number, frame)
  }

  reached(number: number): void {
    this.#reached = Math.max(this.#reached, Math.min(number, (this.#next ?? number) + mostAhead))
  }

  /** The next batch, opened, or undefined if it is not there. Throws UNAUTHENTIC for one that its publisher did not seal as it said. */
  open(): { frame: RoomFrame; plain: Uint8Array } | undefined {
    const frame = this.#next === undefined ? undefined : this.#held.get(this.#next)
    const chain = frame && this.#chains.find(({ first }) => first === frame.first)
    if (!frame || !chain) return undefined
    this.#drop(frame)
    this.#next = frame.number + 1
    this.#leave(chain)
    if (chain.epoch !== frame.epoch)
      throw new ClawmeshError('UNAUTHENTIC', 'A post of a room is sealed under a key of other members.')
    chain.ratchet.skip(frame.number - chain.at)
    chain.at = frame.number + 1
    return { frame, plain: chain.ratchet.step((key) => openWith(key, frame.sealed, frame.head)) }
  }

  /** The number of the batch that is waited for; undefined before a key was announced. */
  get next(): number | undefined {
    return this.#next
  }

  /** Something was sent that cannot be opened yet: it is missing, or its key is. */
  get isStuck(): boolean {
    return this.#held.size > 0 || (this.#next !== undefined && this.#reached > this.#next)
  }

  /** Numbers that have not come, up to the first that has. */
  get gap(): { from: number; to: number } | undefined {
    if (this.#next === undefined || this.#held.has(this.#next)) return undefined
    const to = this.#held.size > 0 ? Math.min(...this.#held.keys()) : this.#reached
    return to > this.#next ? { from: this.#next, to } : undefined
  }

  /** Waits no longer for what is before `to` or, without that, before the first batch that can be opened. How many are lost by that. */
  giveUp(to?: number): number {
    const open = [...this.#held.values()].filter(({ first }) => this.#chains.some((chain) => chain.first === first))
    const all = Math.max(this.#reached, ...[...this.#held.keys()].map((number) => number + 1))
    const target = to ?? (open.length > 0 ? Math.min(...open.map(({ number }) => number)) : all)
    const dropped = [...this.#held.values()].filter(({ number }) => number < target)
    for (const frame of dropped) this.#drop(frame)
    if (this.#next === undefined) return dropped.length
    const lost = Math.max(0, target - this.#next)
    this.#next += lost
    return lost
  }

  /** Keys of lists before this one are over. */
  retire(epoch: number): void {
    for (const chain of this.#chains) if (chain.epoch < epoch) this.#end(chain)
    this.#chains = this.#chains.filter((chain) => chain.epoch >= epoch)
  }

  wipe(): void {
    for (const chain of this.#chains) this.#end(chain)
    this.#chains = []
    for (const frame of [...this.#held.values()]) this.#drop(frame)
  }

  /** What is before this chain will not be needed again. */
  #leave(chain: Chain | undefined): void {
    while (chain && this.#chains[0] && this.#chains[0] !== chain) this.#end(this.#chains.shift())
  }

  #end(chain: Chain | undefined): void {
    if (!chain) return
    chain.ratchet.wipe()
    this.#passed = Math.max(this.#passed, chain.first)
  }

  #drop(frame: RoomFrame): void {
    this.#held.delete(frame.number)
    this.#space.give(frame.sealed.length)
  }
}
