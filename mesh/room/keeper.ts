/**
 * The holder's side of a room: who is in, said to all under its signature, again until they have heard it.
 *
 * 1. Each change is a list of its own, with the next epoch. Whoever is let in hears of it first, so that the others' keys find it there.
 * 2. A change is done when everybody has heard it who can be reached. Whoever cannot is out as soon as the directory has lost it.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Peer } from '../seal/incarnation.js'
import type { SigningKey } from '../seal/keys.js'
import { insist } from './insist.js'
import { maxMembers, type Roster, writeRoster } from './roster.js'

export interface KeeperWire {
  readonly self: Peer
  readonly signing: SigningKey
  /** A node that is there, by its name. */
  node(name: string): Peer | undefined
  peer(id: string): Peer | undefined
  /** Resolves when this node hears what is said. */
  listen(): Promise<void>
  /** Rejects with a code that says whether it may be tried again. */
  tellRoster(to: Peer, roster: Uint8Array): Promise<void>
  tellOver(to: Peer, room: string, epoch: number, isClosed: boolean): Promise<void>
  /** What is held here has changed. */
  changed(roster: Roster): void
  closed(room: string): void
  record(facts: { name: string; epoch: number; members: string[] }): void
}

const tellForMs = 10_000

interface Seat {
  readonly peer: Peer
  readonly since: number
}

export class Keeper {
  readonly #room: string
  readonly #name: string
  readonly #wire: KeeperWire
  #seats: ReadonlyMap<string, Seat>
  #epoch = 1
  #roster: Uint8Array = new Uint8Array(0)
  #isClosed = false

  constructor(room: string, name: string, wire: KeeperWire) {
    this.#room = room
    this.#name = name
    this.#wire = wire
    this.#seats = new Map([[wire.self.id, { peer: wire.self, since: 1 }]])
  }

  get roster(): Roster {
    const members = new Map([...this.#seats].map(([id, { since }]) => [id, since]))
    return { room: this.#room, name: this.#name, holder: this.#wire.self.id, epoch: this.#epoch, members }
  }

  /** Throws UNREACHABLE for a node that is not there, USAGE for too many. */
  async admit(names: readonly string[]): Promise<void> {
    for (const name of names) this.#found(name)
    if (names.some((name) => name !== this.#wire.self.certificate.name)) await this.#wire.listen()
    const added = names.map((name) => this.#found(name)).filter(({ id }) => !this.#seats.has(id))
    if (added.length === 0) return
    if (this.#seats.size + added.length > maxMembers)
      throw new ClawmeshError('USAGE', `Room "${this.#name}" would have more than ${maxMembers} members.`)
    const since = this.#epoch + 1
    this.#change(new Map([...this.#seats, ...added.map((peer) => [peer.id, { peer, since }] as const)]))
    await this.#tellAll(added)
    await this.#tellAll(this.#others().filter((peer) => !added.includes(peer)))
  }

  async dismiss(names: readonly string[]): Promise<void> {
    const isNamed = ({ peer }: Seat) => peer.id !== this.#wire.self.id && names.includes(peer.certificate.name)
    await this.#remove([...this.#seats.values()].filter(isNamed).map(({ peer }) => peer))
  }

  /** The directory has lost it, or the authority has revoked it. */
  lost(peer: Peer): void {
    if (this.#seats.has(peer.id)) void this.#remove([peer])
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const { closed, record } = this.#wire
    closed(this.#room)
    // One that nobody was ever let into is no change for anybody.
    if (this.#epoch > 1) record({ name: this.#name, epoch: this.#epoch, members: [] })
    await Promise.all(this.#others().map((peer) => this.#tellOver(peer, true)))
  }

  async #remove(removed: readonly Peer[]): Promise<void> {
    if (removed.length === 0 || this.#isClosed) return
    const gone = new Set(removed.map(({ id }) => id))
    this.#change(new Map([...this.#seats].filter(([id]) => !gone.has(id))))
    for (const peer of removed) void this.#tellOver(peer, false)
    await this.#tellAll(this.#others())
  }

  #change(seats: ReadonlyMap<string, Seat>): void {
    this.#seats = seats
    this.#epoch += 1
    const { roster } = this
    this.#roster = writeRoster(roster, this.#wire.signing)
    const members = [...seats.values()].map(({ peer }) => peer.certificate.name)
    this.#wire.record({ name: this.#name, epoch: this.#epoch, members })
    this.#wire.changed(roster)
  }

  #others(): Peer[] {
    return [...this.#seats.values()].map(({ peer }) => peer).filter(({ id }) => id !== this.#wire.self.id)
  }

  /** The newest list. */
  async #tellAll(peers: readonly Peer[]): Promise<void> {
    await Promise.all(peers.map((peer) => this.#insist(peer, () => this.#wire.tellRoster(peer, this.#roster))))
  }

  #tellOver(peer: Peer, isClosed: boolean): Promise<void> {
    const epoch = this.#epoch
    return this.#insist(peer, () => this.#wire.tellOver(peer, this.#room, epoch, isClosed))
  }

  #insist(peer: Peer, tell: () => Promise<void>): Promise<void> {
    return insist(tell, () => this.#wire.peer(peer.id) !== undefined, tellForMs)
  }

  #found(name: string): Peer {
    const peer = this.#wire.node(name)
    if (peer) return peer
    throw new ClawmeshError('UNREACHABLE', `Node "${name}" is not there to be let into room "${this.#name}".`)
  }
}
