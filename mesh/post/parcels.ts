/**
 * Letters that are too large for one: they go in pieces, each sealed as any letter is, and are put together again where they arrive (assemblies.ts).
 *
 * 1. So many pieces are on their way at a time, and the receiver says how many it has: a broker drops what a receiver does not take in time.
 * 2. What is asked or told after a large letter to the same peer waits behind it, and so does what is answered to the same call: their order stays.
 * 3. What the receiver does not take, or does not say that it took, fails: whoever waits for an answer is told, and what nobody waits for is a dead letter.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode } from '../codec.js'
import type { Peer } from '../seal/incarnation.js'
import { idleMs } from './assemblies.js'
import { isRequest, type Kind, type Letter, pieceBytes, window } from './letter.js'
import { Space } from './space.js'

export interface ParcelsOptions {
  /** One letter, as it is. Throws if there is no room for it. */
  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void
  /** A letter that was sent here and did not arrive. */
  failed(letter: Letter, error: ClawmeshError): void
  /** Milliseconds since 1970. */
  now(): number
}

/** Pieces of all letters together. */
const mostSent = 64
const sweepMs = 2000
const mostOnTheWay = { letters: 4096, bytes: 256 * 1024 * 1024 }

/** What is asked of and told to one peer, or what answers one call: only the first is under way. */
interface Line {
  readonly key: string
  readonly waiting: Parcel[]
}

interface Parcel {
  readonly id: number
  readonly line: Line
  readonly peer: Peer
  readonly kind: Kind
  readonly call: number
  readonly deadline: number
  readonly packed: Uint8Array
  sent: number
  taken: number
  /** When its receiver last said how many it has. */
  at: number
}

export class Parcels {
  readonly #options: ParcelsOptions
  readonly #lines = new Map<string, Line>()
  readonly #parcels = new Map<number, Parcel>()
  readonly #leaving = new Space(mostOnTheWay.letters, mostOnTheWay.bytes)
  /** Pieces on their way. */
  #sent = 0
  #number = 0
  #sweeper: NodeJS.Timeout | undefined

  constructor(options: ParcelsOptions) {
    this.#options = options
  }

  /** False if it can go as it is, by itself. `packed` is its body. Throws MAILBOX_FULL if too much is on its way. */
  send(peer: Peer, kind: Kind, call: number, deadline: number, packed: Uint8Array): boolean {
    const isLarge = packed.length > pieceBytes
    if (!isLarge && this.#lines.size === 0) return false
    if (kind === 'cancel') this.#drop(peer, call)
    // They are about what went before, which may not wait for them.
    if (kind === 'cancel' || kind === 'credit') return false
    const key = isRequest(kind) ? peer.id : `${peer.id} ${call}`
    const known = this.#lines.get(key)
    if (!isLarge && !known) return false
    if (!this.#leaving.take(packed.length))
      throw new ClawmeshError('MAILBOX_FULL', 'Too many large messages are on their way already.', {
        hint: 'Send more slowly.',
      })
    const line = known ?? { key, waiting: [] }
    this.#number = (this.#number + 1) % 2 ** 32
    const copy = packed.slice()
    const at = performance.now()
    const parcel = { id: this.#number, line, peer, kind, call, deadline, packed: copy, sent: 0, taken: 0, at }
    line.waiting.push(parcel)
    this.#parcels.set(parcel.id, parcel)
    this.#lines.set(key, line)
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepMs).unref()
    if (!known) this.#goOn(line)
    return true
  }

  /** A piece that was to be sent will not reach its peer. */
  fail({ body }: Letter, error: ClawmeshError): void {
    const [id]: unknown[] = Array.isArray(body) ? body : []
    const parcel = typeof id === 'number' ? this.#parcels.get(id) : undefined
    if (parcel) this.#end(parcel, error)
  }

  /** What was on its way to a peer, or to all, may be lost. */
  lose(error: ClawmeshError, peer?: Peer): void {
    const lost = [...this.#parcels.values()].filter((parcel) => !peer || parcel.peer.id === peer.id)
    this.#endAll(lost, error)
  }

  close(error: ClawmeshError): void {
    this.lose(error)
    clearInterval(this.#sweeper)
  }

  #goOn(line: Line): void {
    for (let first = line.waiting[0]; first; first = line.waiting[0]) {
      try {
        if (!this.#dispatch(first)) return
      } catch (error) {
        this.#end(first, ClawmeshError.from(error))
        continue
      }
      line.waiting.shift()
    }
    this.#close(line)
  }

  #goOnWithAll(): void {
    for (const line of [...this.#lines.values()]) this.#goOn(line)
  }

  #close(line: Line): void {
    if (this.#lines.get(line.key) === line) this.#lines.delete(line.key)
  }

  /** Whether all of it is out. */
  #dispatch(parcel: Parcel): boolean {
    const { id, peer, kind, call, deadline, packed } = parcel
    const { send } = this.#options
    if (packed.length <= pieceBytes) {
      send(peer, kind, call, deadline, decode(packed))
      this.#forget(parcel)
      return true
    }
    const count = Math.ceil(packed.length / pieceBytes)
    while (parcel.sent < count && parcel.sent - parcel.taken < window && this.#sent < mostSent) {
      const piece = packed.subarray(parcel.sent * pieceBytes, (parcel.sent + 1) * pieceBytes)
      send(peer, 'piece', call, deadline, [id, parcel.sent, count, kind, piece])
      parcel.sent += 1
      this.#sent += 1
      parcel.at = performance.now()
    }
    return parcel.sent === count
  }

  /** A receiver says how many pieces it has. */
  acknowledged({ peer, body }: Letter): void {
    const [id, taken]: unknown[] = Array.isArray(body) ? body : []
    const parcel = typeof id === 'number' ? this.#parcels.get(id) : undefined
    if (!parcel || parcel.peer.id !== peer.id) return
    if (typeof taken !== 'number' || !Number.isInteger(taken) || taken < 0 || taken > parcel.sent)
      return this.#end(
        parcel,
        new ClawmeshError('MAILBOX_FULL', `Node "${peer.certificate.name}" did not take a large message.`, {
          hint: 'It has too many under way, or a piece was lost. Try again.',
          data: { untaken: true },
        }),
      )
    this.#sent -= Math.max(0, taken - parcel.taken)
    parcel.taken = Math.max(parcel.taken, taken)
    parcel.at = performance.now()
    if (parcel.taken * pieceBytes >= parcel.packed.length) this.#forget(parcel)
    this.#goOnWithAll()
  }

  #forget(parcel: Parcel): void {
    if (!this.#parcels.delete(parcel.id)) return
    this.#leaving.give(parcel.packed.length)
    this.#sent -= parcel.sent - parcel.taken
  }

  #end(parcel: Parcel, error: ClawmeshError): void {
    this.#endAll([parcel], error)
  }

  #endAll(parcels: readonly Parcel[], error: ClawmeshError): void {
    const ended: Parcel[] = []
    for (const parcel of parcels) {
      if (!this.#parcels.has(parcel.id)) continue
      ended.push(parcel)
      const { waiting } = parcel.line
      // What comes behind an answer has no meaning without it.
      const gone = isRequest(parcel.kind) ? [parcel] : [parcel, ...waiting]
      for (const one of gone) {
        this.#forget(one)
        const place = waiting.indexOf(one)
        if (place >= 0) waiting.splice(place, 1)
      }
      if (waiting.length === 0) this.#close(parcel.line)
    }
    for (const { peer, kind, call, deadline, packed } of ended)
      this.#options.failed({ peer, kind, call, deadline, body: decode(packed) }, error)
    this.#goOnWithAll()
  }

  /** Of a call that this node has given up. */
  #drop(peer: Peer, call: number): void {
    for (const parcel of [...this.#parcels.values()]) {
      if (parcel.peer.id !== peer.id || parcel.call !== call || !isRequest(parcel.kind)) continue
      this.#forget(parcel)
      const { waiting } = parcel.line
      const place = waiting.indexOf(parcel)
      if (place >= 0) waiting.splice(place, 1)
      this.#goOn(parcel.line)
    }
  }

  #sweep(): void {
    const late = new ClawmeshError('DEADLINE', 'Its time was over before all of it had arrived.')
    for (const parcel of [...this.#parcels.values()]) {
      const isStuck = parcel.sent > parcel.taken && performance.now() - parcel.at > 2 * idleMs
      if (isStuck || parcel.deadline < this.#options.now()) this.#end(parcel, late)
    }
    if (this.#parcels.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}
