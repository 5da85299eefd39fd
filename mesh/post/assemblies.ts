/**
 * Large letters of others, put together again out of their pieces.
 *
 * 1. Pieces come in order. One that is missing ends the whole at once, and its sender is told.
 * 2. What is being put together is bounded, for each peer and in all: it is set aside with the first piece. What does not move for a while is given up.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode } from '../codec.js'
import type { Peer } from '../seal/incarnation.js'
import { isRequest, type Kind, type Letter, mostBodyBytes, pieceBytes, window } from './letter.js'
import { Space } from './space.js'

export interface AssembliesOptions {
  deliver(letter: Letter): void
  /** Tells a peer how many pieces of its letter have come; null: it is not taken. */
  acknowledge(peer: Peer, id: number, taken: number | null): void
}

const acknowledgeEvery = window / 2
export const idleMs = 10_000
const sweepMs = 2000
const most = { letters: 4096, bytes: 256 * 1024 * 1024 }
const mostOfPeerBytes = mostBodyBytes

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

export class Assemblies {
  readonly #options: AssembliesOptions
  readonly #assemblies = new Map<string, Assembly>()
  readonly #space = new Space(most.letters, most.bytes)
  /** Bytes that are set aside for each. */
  readonly #ofPeer = new Map<string, number>()
  #sweeper: NodeJS.Timeout | undefined

  constructor(options: AssembliesOptions) {
    this.#options = options
  }

  /** Throws MESSAGE_INVALID for what is no piece. */
  add({ peer, call, deadline, body }: Letter): void {
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
      return this.#options.acknowledge(peer, id, null)
    }
    assembly.pieces.push(piece)
    assembly.at = performance.now()
    const isWholeNow = assembly.pieces.length === count
    if (isWholeNow || assembly.pieces.length % acknowledgeEvery === 0)
      this.#options.acknowledge(peer, id, assembly.pieces.length)
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

  /** A call that its caller has given up is not put together any more. */
  abandon({ peer, call }: Letter): void {
    this.#forgetAll((one) => one.peer.id === peer.id && one.call === call && isRequest(one.kind))
  }

  /** What comes from a peer, or from all, will not be whole. */
  lose(peer?: Peer): void {
    this.#forgetAll((one) => !peer || one.peer.id === peer.id)
  }

  close(): void {
    this.lose()
    clearInterval(this.#sweeper)
  }

  #begin(begun: Omit<Assembly, 'pieces' | 'at'>): Assembly | undefined {
    const bytes = begun.count * pieceBytes
    const ofPeer = (this.#ofPeer.get(begun.peer.id) ?? 0) + bytes
    if (ofPeer > mostOfPeerBytes || !this.#space.take(bytes)) return undefined
    this.#ofPeer.set(begun.peer.id, ofPeer)
    const assembly = { ...begun, pieces: [], at: performance.now() }
    this.#assemblies.set(keyOf(begun.peer, begun.id), assembly)
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepMs).unref()
    return assembly
  }

  #forget({ peer, id, count }: Assembly): void {
    if (!this.#assemblies.delete(keyOf(peer, id))) return
    const bytes = count * pieceBytes
    this.#space.give(bytes)
    const left = (this.#ofPeer.get(peer.id) ?? 0) - bytes
    if (left > 0) this.#ofPeer.set(peer.id, left)
    else this.#ofPeer.delete(peer.id)
  }

  #forgetAll(isMeant: (assembly: Assembly) => boolean): void {
    for (const assembly of [...this.#assemblies.values()]) if (isMeant(assembly)) this.#forget(assembly)
  }

  #sweep(): void {
    for (const assembly of [...this.#assemblies.values()]) {
      if (performance.now() - assembly.at < idleMs) continue
      this.#forget(assembly)
      this.#options.acknowledge(assembly.peer, assembly.id, null)
    }
    if (this.#assemblies.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}

const keyOf = (peer: Peer, id: number) => `${peer.id} ${id}`
const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 0
