/**
 * A room of the mesh, as one of its nodes knows it. What is said in it is sealed for its members alone, once for all of them, and signed by who says it.
 *
 *     const room = await mesh.openRoom('plan', ['worker-1', 'worker-2'])      // on the node that holds it
 *     const room = await mesh.room('plan', 'boss')                           // on a member, where "boss" holds it
 *     await room.publish({ step: 1 })
 *     for await (const { node, value } of room.subscribe(Step)) …            // everybody's posts since this node came in, its own among them
 *
 * 1. Posts of one publisher come in their order, each once. One that was lost on the way is asked for again; if it cannot be had, that is said: the subscription
 *    ends with UNREACHABLE, or goes on where the reader says that it can.
 * 2. A member is a run of a node. Actors of one node share its place.
 * 3. What a node has heard is kept here as long as the room lasts, up to a bound; a reader that falls behind that is told MAILBOX_FULL.
 */
import type { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { Peer } from '../seal/incarnation.js'
import type { Announcement } from './announcement.js'
import type { RoomFrame } from './frame.js'
import { History, type Post, type SubscribeOptions } from './history.js'
import type { Keeper } from './keeper.js'
import { Listener } from './listener.js'
import type { Roster } from './roster.js'
import { type Audience, type PublishOptions, Speaker } from './speaker.js'
import type { Voice } from './voice.js'

/** What a room needs of the node that it is on. */
export interface RoomWire {
  readonly self: Peer
  /** A member that is there and may take part. */
  peer(id: string): Peer | undefined
  voice(room: string): Voice
  send(to: Peer, room: string, frame: Uint8Array): void
  announce(room: Room, to: Peer, announcement: Uint8Array, from: number): void
  tellReached(room: Room, to: Peer, number: number): void
  askAgain(room: Room, from: Peer, gap: { from: number; to: number }): Promise<{ frames: RoomFrame[]; oldest: number }>
  lost(peer: Peer, batches: number): void
  refuse(error: ClawmeshError, peer: Peer): void
  now(): number
}

export class Room {
  readonly #wire: RoomWire
  readonly #speaker: Speaker
  readonly #listener: Listener
  readonly #history: History
  readonly #holder: Peer
  readonly #keeper: Keeper | undefined
  #roster: Roster
  #over: ClawmeshError | undefined

  constructor(wire: RoomWire, roster: Roster, holder: Peer, keeper?: Keeper) {
    this.#wire = wire
    this.#roster = roster
    this.#holder = holder
    this.#keeper = keeper
    this.#history = new History(roster.name)
    const { self, now, lost, refuse, peer } = wire
    this.#listener = new Listener({
      history: this.#history,
      roster: () => this.#roster,
      askAgain: (from, gap) => wire.askAgain(this, from, gap),
      peer,
      lost,
      refuse,
      now,
    })
    this.#speaker = new Speaker({
      voice: wire.voice(roster.room),
      now,
      audience: () => this.#audience(),
      send: (to, frame) => wire.send(to, this.id, frame),
      announce: (to, announcement, from) => wire.announce(this, to, announcement, from),
      reached: (to, number) => wire.tellReached(this, to, number),
      said: (value, epoch, bytes) => this.#history.add({ node: self.certificate.name, epoch, value }, bytes),
    })
  }

  get name(): string {
    return this.#roster.name
  }

  get id(): string {
    return this.#roster.room
  }

  get holder(): Peer {
    return this.#holder
  }

  get epoch(): number {
    return this.#roster.epoch
  }

  get isOver(): boolean {
    return this.#over !== undefined
  }

  /** Who is in, by the names of their nodes: since which epoch. */
  get members(): ReadonlyMap<string, number> {
    const named = [...this.#roster.members].map(([id, since]) => [this.#peer(id)?.certificate.name, since] as const)
    return new Map(named.filter((entry): entry is readonly [string, number] => entry[0] !== undefined))
  }

  isMember(id: string): boolean {
    return this.#roster.members.has(id)
  }

  /**
   * Says something to all who are in. Resolves when it is on its way. Rejects with MESSAGE_INVALID for more than 512 KiB, and with what ended the room once it is over.
   */
  async publish(value: unknown, options: PublishOptions = {}): Promise<void> {
    if (this.#over) throw this.#over
    await this.#speaker.publish(value, options)
  }

  /**
   * All posts since this node came in that fit the schema, and then whatever comes, until the room is closed. Throws DENIED if this node was put out, UNREACHABLE
   * if posts were lost or the holder was, MAILBOX_FULL for a reader that is too slow.
   */
  subscribe<S extends z.ZodType>(
    schema: S,
    options: SubscribeOptions = {},
  ): AsyncGenerator<Post<z.output<S>>, void, void> {
    return this.#history.read(schema, options)
  }

  /** Lets nodes in, by their names. They can open what is said from now on. Resolves when all who can be reached know. Only its holder may. */
  async admit(...nodes: string[]): Promise<void> {
    await this.#held().admit(nodes)
  }

  /** Puts nodes out. When it resolves all who can be reached seal without them: what is said from then on opens to them no more. Only its holder may. */
  async dismiss(...nodes: string[]): Promise<void> {
    await this.#held().dismiss(nodes)
  }

  /** Ends it for all. Only its holder may. */
  async close(): Promise<void> {
    await this.#held().close()
  }

  /** A list of members that its holder signed. Older ones than ours change nothing. */
  take(roster: Roster): void {
    if (roster.epoch <= this.#roster.epoch || this.#over) return
    this.#speaker.flush()
    const { id: self } = this.#wire.self
    const isNew = roster.members.get(self) !== this.#roster.members.get(self)
    this.#roster = roster
    this.#speaker.regroup(isNew)
    this.#listener.regroup()
  }

  /** A member is not to be trusted any more, or gone: nothing is sealed under a key that it has. */
  distrust(peer: Peer): void {
    if (!this.isMember(peer.id)) return
    this.#speaker.changeKey()
    this.#keeper?.lost(peer)
  }

  /** A publisher's key; throws UNREACHABLE where that cannot be judged yet. */
  learn(announcement: Announcement, publisher: Peer, from: number): void {
    this.#listener.learn(announcement, publisher, from)
  }

  /** A batch, as it came from the broker. Throws UNAUTHENTIC unless a member said it, now and once. */
  receive(frame: RoomFrame, publisher: Peer): void {
    this.#listener.receive(frame, publisher)
  }

  /** A publisher says how far it got. */
  reached(publisher: Peer, number: number): void {
    this.#listener.reached(publisher, number)
  }

  again(from: number, to: number): { frames: Uint8Array[]; oldest: number } {
    return this.#speaker.again(from, to)
  }

  /** With the reason, unless it was closed in good order. */
  end(error?: ClawmeshError): void {
    if (this.#over) return
    if (!error) this.#speaker.flush()
    this.#over = error ?? new ClawmeshError('CANCELLED', `Room "${this.name}" was closed.`)
    this.#speaker.end(this.#over)
    this.#listener.end()
    this.#history.end(error)
  }

  #held(): Keeper {
    if (this.#over) throw this.#over
    if (this.#keeper) return this.#keeper
    throw new ClawmeshError('DENIED', `Room "${this.name}" is held by node "${this.#holder.certificate.name}".`, {
      hint: 'Only that node lets others in and out.',
    })
  }

  #peer(id: string): Peer | undefined {
    return id === this.#wire.self.id ? this.#wire.self : this.#wire.peer(id)
  }

  #audience(): Audience {
    const { self, peer } = this.#wire
    const { epoch, members } = this.#roster
    const others = [...members.keys()].flatMap((id) => (id === self.id ? [] : (peer(id) ?? [])))
    return { epoch, others, since: (id) => members.get(id) }
  }
}
