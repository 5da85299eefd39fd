/** All rooms of one node: those that it holds, and those that others have let it into. */
import { ClawmeshError } from '../../policies/errors.js'
import { type CallOptions, type Context, type Handler, on } from '../actor/actor.js'
import type { ActorRef } from '../actor/ref.js'
import type { Addresses } from '../address.js'
import type { Directory } from '../directory.js'
import { Space } from '../post/space.js'
import type { Incarnation, Peer } from '../seal/incarnation.js'
import { hex, randomBytes, type SigningKey } from '../seal/keys.js'
import type { Subscription, Transport } from '../transport/transport.js'
import { readAnnouncement } from './announcement.js'
import { readRoomFrame } from './frame.js'
import { insist } from './insist.js'
import { Keeper, type KeeperWire } from './keeper.js'
import { RoomAgain, RoomKey, RoomOver, RoomReached, RoomRoster, roomsActorName } from './messages.js'
import { Room, type RoomWire } from './room.js'
import { readRoster } from './roster.js'
import { Voice } from './voice.js'

export interface RoomsOptions {
  transport: Transport
  addresses: Addresses
  directory: Directory
  self: Incarnation
  signing: SigningKey
  ref(actor: string): ActorRef
  record(facts: { name: string; epoch: number; members: string[] }): void
  lost(peer: Peer, batches: number): void
  refuse(error: ClawmeshError, peer: Peer | undefined): void
  now(): number
}

/** One holder must not fill the memory of others. */
const mostOfOneHolder = 256
const mostEnded = 1024
const mostEarly = 256
const mostEarlyBytes = 2 * 1024 * 1024
const earlyMs = 1000
const askMs = 1000
/** Longer than a node may be away without being lost. */
const tellMs = 10_000

export class Rooms {
  readonly #options: RoomsOptions
  readonly #rooms = new Map<string, Room>()
  /** Ids of those that are over: what comes late to one is no attack. */
  readonly #ended = new Set<string>()
  /** Frames of rooms whose list of members is still under way to us, by room. */
  readonly #early = new Map<string, { subject: string; bytes: Uint8Array }[]>()
  readonly #earlySpace = new Space(mostEarly, mostEarlyBytes)
  readonly #changed = new Set<() => void>()
  #subscription: Promise<Subscription> | undefined
  #isClosed = false

  constructor(options: RoomsOptions) {
    this.#options = options
  }

  /** Resolves when those who can be reached are in. Throws UNREACHABLE for a node that is not there, USAGE for a name that is taken here, DENIED without the role. */
  async open(name: string, members: readonly string[]): Promise<Room> {
    const { self } = this.#options
    if (!self.certificate.roles.some((role) => role === 'authority' || role === 'supervisor'))
      throw new ClawmeshError('DENIED', `Node "${self.certificate.name}" may not hold a room: supervisors do.`)
    if (this.#find(name, self.certificate.name))
      throw new ClawmeshError('USAGE', `This node holds a room "${name}" already.`, { hint: 'Choose another name.' })
    const keeper = new Keeper(hex(randomBytes(16)), name, this.#keeperWire())
    const { roster } = keeper
    const room = new Room(this.#roomWire(), roster, self, keeper)
    this.#add(room)
    try {
      await room.admit(...members)
    } catch (error) {
      await room.close()
      throw error
    }
    return room
  }

  /** A room that this node is in, by its name and the node that holds it; waits so long to be let in. Throws UNREACHABLE if it is not. */
  async find(name: string, holder: string, withinMs: number): Promise<Room> {
    const room = this.#find(name, holder) ?? (await this.#await(() => this.#find(name, holder), withinMs))
    if (room) return room
    throw new ClawmeshError('UNREACHABLE', `Node "${holder}" has not let this node into a room "${name}".`, {
      hint: 'It does that by `room.admit`.',
    })
  }

  handlers(): Handler[] {
    return [
      on(RoomRoster, ({ roster }, context) => this.#takeRoster(roster, context)),
      on(RoomOver, ({ room: id, epoch, isClosed }, { sender }) => {
        const room = this.#rooms.get(id)
        if (room?.holder.certificate.name === sender.node && room.epoch <= epoch)
          this.#end(room, isClosed ? undefined : putOut(room))
        return null
      }),
      on(RoomKey, ({ announcement, from }, { sender }) => {
        const { said, isSignedBy } = readAnnouncement(announcement)
        const publisher = this.#peer(said.publisher)
        if (publisher?.certificate.name !== sender.node || !isSignedBy(publisher.certificate.publicKey))
          throw new ClawmeshError('DENIED', 'A key of a room was announced by somebody else than its publisher.')
        this.#room(said.room).learn(said, publisher, from)
        return null
      }),
      on(RoomReached, ({ room, number }, context) => {
        this.#room(room).reached(this.#sender(context), number)
        return null
      }),
      on(RoomAgain, ({ room: id, from, to }, context) => {
        const room = this.#room(id)
        if (!room.isMember(this.#sender(context).id))
          throw new ClawmeshError('DENIED', `Node "${context.sender.node}" is not in room "${room.name}".`)
        return room.again(from, to)
      }),
    ]
  }

  /** The directory has lost a node, or the authority has revoked it. */
  lose(peer: Peer): void {
    for (const room of [...this.#rooms.values()]) {
      if (room.holder.id === peer.id) {
        const why = `Node "${peer.certificate.name}", which held room "${room.name}", was lost.`
        this.#end(room, new ClawmeshError('UNREACHABLE', why))
      } else room.distrust(peer)
    }
  }

  /** The others have given this node up: it is in no room any more, and those that it held have ended for them. */
  cutOff(): void {
    for (const room of [...this.#rooms.values()]) {
      const why = `This node was cut off from the mesh, and so from room "${room.name}".`
      this.#end(room, new ClawmeshError('UNREACHABLE', why))
    }
  }

  close(): void {
    this.#isClosed = true
    for (const room of [...this.#rooms.values()]) this.#end(room)
    void this.#subscription?.then((subscription) => subscription.unsubscribe()).catch(() => undefined)
  }

  async #takeRoster(wire: Uint8Array, { sender }: Context): Promise<null> {
    const { directory, self } = this.#options
    const holder = directory.node(sender.node)?.peer
    if (!holder) throw new ClawmeshError('UNREACHABLE', `Node "${sender.node}" is not known here yet.`)
    const roster = readRoster(wire, holder)
    if (!roster.members.has(self.id))
      throw new ClawmeshError(
        'UNAUTHENTIC',
        `A list of members came from node "${sender.node}" to one who is not on it.`,
      )
    await this.#listen()
    const known = this.#rooms.get(roster.room)
    if (known && known.holder.id !== holder.id)
      throw new ClawmeshError('UNAUTHENTIC', `Node "${sender.node}" changes a room that another holds.`)
    if (known) known.take(roster)
    else this.#enter(new Room(this.#roomWire(), roster, holder))
    return null
  }

  #enter(room: Room): void {
    const held = [...this.#rooms.values()].filter(({ holder }) => holder.id === room.holder.id)
    if (held.length >= mostOfOneHolder) {
      throw new ClawmeshError('MAILBOX_FULL', `This node is in ${held.length} rooms of one holder already.`, {
        hint: 'Close those that are done with.',
      })
    }
    this.#add(room)
  }

  #add(room: Room): void {
    if (this.#isClosed) throw new ClawmeshError('CANCELLED', 'This node is leaving the mesh.')
    this.#rooms.set(room.id, room)
    this.#letIn(room.id)
    for (const changed of [...this.#changed]) changed()
  }

  #end(room: Room, error?: ClawmeshError): void {
    this.#rooms.delete(room.id)
    this.#ended.add(room.id)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= mostEnded) break
      this.#ended.delete(oldest)
    }
    room.end(error)
  }

  #room(id: string): Room {
    const room = this.#rooms.get(id)
    // It may be about to be let in.
    if (!room) throw new ClawmeshError('UNREACHABLE', 'This node is in no such room.')
    return room
  }

  #find(name: string, holder: string): Room | undefined {
    return [...this.#rooms.values()].findLast((room) => room.name === name && room.holder.certificate.name === holder)
  }

  #await(find: () => Room | undefined, withinMs: number): Promise<Room | undefined> {
    return new Promise((resolve) => {
      const end = (room: Room | undefined) => {
        clearTimeout(timer)
        this.#changed.delete(look)
        resolve(room)
      }
      const look = () => {
        const room = find()
        if (room) end(room)
      }
      const timer = setTimeout(() => end(undefined), withinMs)
      this.#changed.add(look)
    })
  }

  /** Who may take part, here and now. */
  #peer(id: string): Peer | undefined {
    const { directory } = this.#options
    const peer = directory.peer(id)
    return peer && !directory.objection(peer) ? peer : undefined
  }

  #sender({ sender }: Context): Peer {
    const peer = this.#options.directory.node(sender.node)?.peer
    if (!peer) throw new ClawmeshError('UNREACHABLE', `Node "${sender.node}" is not known here.`)
    return peer
  }

  /** Keeps what is said in a room that we may be about to be let into, for a moment. False if too much waits so. */
  #hold(room: string, subject: string, bytes: Uint8Array): boolean {
    if (!this.#earlySpace.take(bytes.length)) return false
    const early = this.#early.get(room) ?? []
    early.push({ subject, bytes })
    if (early.length > 1) return true
    this.#early.set(room, early)
    setTimeout(() => this.#letIn(room), earlyMs).unref()
    return true
  }

  #letIn(room: string): void {
    const early = this.#early.get(room) ?? []
    this.#early.delete(room)
    for (const { subject, bytes } of early) {
      this.#earlySpace.give(bytes.length)
      this.#receive(subject, bytes, false)
    }
  }

  /** Most nodes are in no room, and listen to none. */
  async #listen(): Promise<void> {
    const { transport, addresses, self } = this.#options
    this.#subscription ??= transport.subscribe(addresses.roomsOf(self.certificate.holder), (subject, bytes) =>
      this.#receive(subject, bytes),
    )
    await this.#subscription
  }

  #receive(subject: string, bytes: Uint8Array, isNew = true): void {
    const { addresses, directory, refuse } = this.#options
    let publisher: Peer | undefined
    try {
      const frame = readRoomFrame(bytes)
      const room = this.#rooms.get(frame.room)
      if (!room && this.#ended.has(frame.room)) return
      if (!room && isNew && this.#hold(frame.room, subject, bytes)) return
      if (!room) throw new ClawmeshError('UNAUTHENTIC', 'A post arrived of a room that this node is not in.')
      publisher = directory.peer(frame.publisher)
      // The broker lets nobody write in the name of another: what is to be checked at a price is the fault of whoever wrote it.
      if (!publisher || addresses.roomPublisher(subject) !== publisher.certificate.holder)
        throw new ClawmeshError('UNAUTHENTIC', 'A post of a room arrived in the name of another.')
      const objection = directory.objection(publisher)
      if (objection) throw objection
      room.receive(frame, publisher)
    } catch (error) {
      refuse(ClawmeshError.from(error), publisher)
    }
  }

  #roomWire(): RoomWire {
    const { self, signing, transport, addresses, now, lost, refuse } = this.#options
    return {
      self,
      now,
      lost,
      refuse,
      peer: (id) => this.#peer(id),
      voice: (room) => new Voice({ room, publisher: self.id, signing, now }),
      send: (to, room, frame) =>
        transport.publish(addresses.room(to.certificate.holder, room, self.certificate.holder), frame),
      announce: (room, to, announcement, from) =>
        this.#insist(room, to, tellMs, () => this.#roomsAt(to).ask(RoomKey, { announcement, from }, brief)),
      tellReached: (room, to, number) =>
        this.#insist(room, to, tellMs, () => this.#roomsAt(to).ask(RoomReached, { room: room.id, number }, brief)),
      askAgain: async (room, from, gap) => {
        const { frames, oldest } = await this.#roomsAt(from).ask(RoomAgain, { room: room.id, ...gap }, brief)
        return { frames: frames.map(readRoomFrame), oldest }
      },
    }
  }

  #keeperWire(): KeeperWire {
    const { self, signing, directory, record } = this.#options
    return {
      self,
      signing,
      record,
      listen: () => this.#listen(),
      node: (name) => (name === self.certificate.name ? self : directory.node(name)?.peer),
      peer: (id) => this.#peer(id),
      tellRoster: (to, roster) => this.#roomsAt(to).ask(RoomRoster, { roster }, brief).then(ignore),
      tellOver: (to, room, epoch, isClosed) =>
        this.#roomsAt(to).ask(RoomOver, { room, epoch, isClosed }, brief).then(ignore),
      changed: (roster) => this.#rooms.get(roster.room)?.take(roster),
      closed: (id) => {
        const room = this.#rooms.get(id)
        if (room) this.#end(room)
      },
    }
  }

  /** Until it is heard, or nobody is there to hear it. */
  #insist(room: Room, to: Peer, forMs: number, tell: () => Promise<unknown>): void {
    void insist(tell, () => !room.isOver && room.isMember(to.id) && this.#peer(to.id) !== undefined, forMs)
  }

  #roomsAt({ certificate }: Peer): ActorRef {
    return this.#options.ref(roomsActorName(certificate.name))
  }
}

const brief: CallOptions = { timeoutMs: askMs }
const ignore = () => undefined

const putOut = ({ name, holder }: Room) =>
  new ClawmeshError('DENIED', `Node "${holder.certificate.name}" has put this node out of room "${name}".`)
