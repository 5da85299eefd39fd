/**
 * Letters that are too large for one: they go in pieces, each sealed as any letter is, and are put together again where they arrive.
 *
 * 1. So many pieces are on their way at a time, and the receiver says how many it has: a broker drops what a receiver does not take in time.
 * 2. What is asked or told after a large letter to the same peer waits behind it, and so does what is answered to the same call: their order stays.
 * 3. A piece that is missing ends the whole at once. Whoever waits for an answer is told, and what nobody waits for is a dead letter.
 * 4. What is being put together is bounded, for each peer and in all. What does not move for a while is given up, here and there.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode } from '../codec.js'
import type { Peer } from '../seal/incarnation.js'
import { type Kind, type Letter, mostBodyBytes, pieceBytes } from './letter.js'
import { Space } from './space.js'

export interface ParcelsOptions {
  /** One letter, as it is. Throws if there is no room for it. */
  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void
  deliver(letter: Letter): void
  /** A letter that was sent here and did not arrive. */
  failed(letter: Letter, error: ClawmeshError): void
  /** Milliseconds since 1970. */
  now(): number
}

/** Pieces, of one letter and in all. */
const window = 16
const mostSent = 64
const acknowledgeEvery = window / 2
const idleMs = 10_000
const sweepMs = 2000
/** In all: what is on its way from here, and what is being put together. */
const mostOnTheWay = { letters: 4096, bytes: 256 * 1024 * 1024 }
const mostOfPeerBytes = mostBodyBytes

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

interface Assembly {
  readonly peer: Peer
  readonly id: number
  readonly kind: Kind
  readonly call: number
  readonly deadline: number
  readonly count: number
  readonly pieces: Uint8Array[]
  /** When the last one came. */
  at: number
}

const carried: ReadonlySet<unknown> = new Set<Kind>(['tell', 'ask', 'open', 'reply', 'error', 'item'])
const answers: ReadonlySet<Kind> = new Set<Kind>(['reply', 'error', 'item', 'end'])

export class Parcels {
  readonly #options: ParcelsOptions
  readonly #lines = new Map<string, Line>()
  readonly #parcels = new Map<number, Parcel>()
  readonly #assemblies = new Map<string, Assembly>()
  readonly #leaving = new Space(mostOnTheWay.letters, mostOnTheWay.bytes)
  readonly #coming = new Space(mostOnTheWay.letters, mostOnTheWay.bytes)
  readonly #ofPeer = new Map<string, number>()
  /** Pieces on their way. */
  #sent = 0
  #number = 0
  #sweeper: NodeJS.Timeout | undefined

  constructor(options: ParcelsOptions) {
    this.#options = options
  }

  /** False if it can go as it is, by itself. Throws MAILBOX_FULL if too much is on its way, and MESSAGE_INVALID if it is too large for this, too. */
  send(peer: Peer, kind: Kind, call: number, deadline: number, packed: Uint8Array): boolean {
    const isLarge = packed.length > pieceBytes
    if (!isLarge && this.#lines.size === 0) return false
    if (kind === 'cancel') this.#drop(peer, call)
    // They are about what went before, which may not wait for them.
    if (kind === 'cancel' || kind === 'credit') return false
    const key = answers.has(kind) ? `${peer.id} ${call}` : peer.id
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

  /** A piece, or the word of how many have come. Throws MESSAGE_INVALID for what is neither. */
  take(letter: Letter): void {
    if (letter.kind === 'more') this.#acknowledged(letter)
    else this.#add(letter)
  }

  /** A piece that was to be sent will not reach its peer. */
  fail({ body }: Letter, error: ClawmeshError): void {
    const [id]: unknown[] = Array.isArray(body) ? body : []
    const parcel = typeof id === 'number' ? this.#parcels.get(id) : undefined
    if (parcel) this.#end(parcel, error)
  }

  /** A call that its caller has given up is not put together any more. */
  abandon({ peer, call }: Letter): void {
    for (const assembly of [...this.#assemblies.values()])
      if (assembly.peer.id === peer.id && assembly.call === call && !answers.has(assembly.kind)) this.#forget(assembly)
  }

  /** What was on its way to a peer, or to all, may be lost, and what comes from there will not be whole. */
  lose(error: ClawmeshError, peer?: Peer): void {
    for (const assembly of [...this.#assemblies.values()])
      if (!peer || assembly.peer.id === peer.id) this.#forget(assembly)
    for (const parcel of [...this.#parcels.values()]) if (!peer || parcel.peer.id === peer.id) this.#end(parcel, error)
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
      this.#forgetParcel(parcel)
      send(peer, kind, call, deadline, decode(packed))
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

  #acknowledged({ peer, body }: Letter): void {
    const [id, taken]: unknown[] = Array.isArray(body) ? body : []
    const parcel = typeof id === 'number' ? this.#parcels.get(id) : undefined
    if (!parcel || parcel.peer.id !== peer.id) return
    if (typeof taken !== 'number' || taken > parcel.sent)
      return this.#end(
        parcel,
        new ClawmeshError('MAILBOX_FULL', `Node "${peer.certificate.name}" did not take a large message.`, {
          hint: 'It has too many under way, or a piece was lost. Try again.',
        }),
      )
    this.#sent -= Math.max(0, taken - parcel.taken)
    parcel.taken = Math.max(parcel.taken, taken)
    parcel.at = performance.now()
    if (parcel.taken * pieceBytes >= parcel.packed.length) this.#forgetParcel(parcel)
    this.#goOnWithAll()
  }

  #forgetParcel(parcel: Parcel): void {
    if (!this.#parcels.delete(parcel.id)) return
    this.#leaving.give(parcel.packed.length)
    this.#sent -= parcel.sent - parcel.taken
  }

  /** What comes behind an answer has no meaning without it. */
  #end(parcel: Parcel, error: ClawmeshError): void {
    const { line, peer, kind, call, deadline, packed } = parcel
    if (!this.#parcels.has(parcel.id)) return
    const behind = answers.has(kind) ? line.waiting.filter((other) => other !== parcel) : []
    const isFirst = line.waiting[0] === parcel
    for (const gone of [parcel, ...behind]) {
      this.#forgetParcel(gone)
      const place = line.waiting.indexOf(gone)
      if (place >= 0) line.waiting.splice(place, 1)
    }
    if (line.waiting.length === 0) this.#close(line)
    this.#options.failed({ peer, kind, call, deadline, body: decode(packed) }, error)
    if (isFirst) this.#goOnWithAll()
  }

  /** Of a call that this node has given up. */
  #drop(peer: Peer, call: number): void {
    for (const parcel of [...this.#parcels.values()]) {
      if (parcel.peer.id !== peer.id || parcel.call !== call || answers.has(parcel.kind)) continue
      this.#forgetParcel(parcel)
      const { waiting } = parcel.line
      const place = waiting.indexOf(parcel)
      if (place >= 0) waiting.splice(place, 1)
      this.#goOn(parcel.line)
    }
  }

  #add({ peer, call, deadline, body }: Letter): void {
    const [id, index, count, kind, piece]: unknown[] = Array.isArray(body) ? body : []
    const isPiece =
      isWhole(id) &&
      isWhole(index) &&
      isWhole(count) &&
      count > 1 &&
      count <= mostBodyBytes / pieceBytes &&
      carried.has(kind) &&
      piece instanceof Uint8Array &&
      piece.length > 0 &&
      piece.length <= pieceBytes
    if (!isPiece) throw new ClawmeshError('MESSAGE_INVALID', 'A message arrived that is no piece of another.')
    const key = keyOf(peer, id)
    const known = this.#assemblies.get(key)
    const assembly =
      known ?? (index === 0 ? this.#begin({ peer, id, kind: kind as Kind, call, deadline, count }) : undefined)
    const isNext = assembly?.pieces.length === index && assembly.count === count
    // What was given up before goes on for a moment: it is refused once more, and that is all.
    if (!assembly || !isNext) {
      if (assembly) this.#forget(assembly)
      return this.#say(peer, id, null)
    }
    assembly.pieces.push(piece)
    assembly.at = performance.now()
    const isWholeNow = assembly.pieces.length === count
    if (isWholeNow || assembly.pieces.length % acknowledgeEvery === 0) this.#say(peer, id, assembly.pieces.length)
    if (!isWholeNow) return
    this.#forget(assembly)
    const whole = Buffer.concat(assembly.pieces)
    this.#options.deliver({
      peer,
      kind: assembly.kind,
      call: assembly.call,
      deadline: assembly.deadline,
      body: decode(whole),
    })
  }

  #begin(begun: Omit<Assembly, 'pieces' | 'at'>): Assembly | undefined {
    const bytes = begun.count * pieceBytes
    const ofPeer = (this.#ofPeer.get(begun.peer.id) ?? 0) + bytes
    if (ofPeer > mostOfPeerBytes || !this.#coming.take(bytes)) return undefined
    this.#ofPeer.set(begun.peer.id, ofPeer)
    const assembly = { ...begun, pieces: [], at: performance.now() }
    this.#assemblies.set(keyOf(begun.peer, begun.id), assembly)
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepMs).unref()
    return assembly
  }

  #forget({ peer, id, count }: Assembly): void {
    if (!this.#assemblies.delete(keyOf(peer, id))) return
    const bytes = count * pieceBytes
    this.#coming.give(bytes)
    const left = (this.#ofPeer.get(peer.id) ?? 0) - bytes
    if (left > 0) this.#ofPeer.set(peer.id, left)
    else this.#ofPeer.delete(peer.id)
  }

  /** `taken`: how many pieces have come; null: it is not taken. */
  #say(peer: Peer, id: number, taken: number | null): void {
    try {
      this.#options.send(peer, 'more', 0, this.#options.now() + idleMs, [id, taken])
    } catch {
      // There is no way to the sender: it hears nothing, and gives up.
    }
  }

  #sweep(): void {
    const late = new ClawmeshError('DEADLINE', 'Its time was over before all of it had arrived.')
    for (const parcel of [...this.#parcels.values()]) {
      const isStuck = parcel.sent > parcel.taken && performance.now() - parcel.at > 2 * idleMs
      if (isStuck || parcel.deadline < this.#options.now()) this.#end(parcel, late)
    }
    for (const assembly of [...this.#assemblies.values()]) {
      if (performance.now() - assembly.at < idleMs) continue
      this.#forget(assembly)
      this.#say(assembly.peer, assembly.id, null)
    }
    if (this.#parcels.size > 0 || this.#assemblies.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}

const keyOf = (peer: Peer, id: number) => `${peer.id} ${id}`
const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0
