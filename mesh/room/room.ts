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
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { decode, encode, time } from '../codec.js'
import { clockToleranceMs } from '../seal/certificate.js'
import type { Peer } from '../seal/incarnation.js'
import type { Announcement } from './announcement.js'
import { isSignedBy, type RoomFrame } from './frame.js'
import { Hearing } from './hearing.js'
import type { Keeper } from './keeper.js'
import type { Roster } from './roster.js'
import type { Voice } from './voice.js'

export interface Post<V = unknown> {
  /** The certified name of the node that says it. */
  readonly node: string
  /** Of the list of members that it was said to. */
  readonly epoch: number
  readonly value: V
}

/** Posts that were sent and cannot be had any more. */
export interface Lost {
  readonly node: string
  /** Batches of posts that were written in one turn of its event loop. */
  readonly batches: number
}

export interface PublishOptions {
  /** After this nobody takes it any more; 60 s unless said otherwise. */
  timeoutMs?: number
}

export interface SubscribeOptions {
  /** Ends the subscription. */
  signal?: AbortSignal
  /** Told of posts that are lost; without it they end the subscription. */
  onLost?: (lost: Lost) => void
}

/** What a room needs of the node that it is on. */
export interface RoomWire {
  readonly self: Peer
  /** A member that is there and may take part. */
  peer(id: string): Peer | undefined
  voice(room: string): Voice
  send(to: Peer, room: string, frame: Uint8Array): void
  announce(room: Room, to: Peer, announcement: Uint8Array, from: number): void
  tellReached(room: Room, to: Peer, number: number): Promise<void>
  askAgain(room: Room, from: Peer, gap: { from: number; to: number }): Promise<{ frames: RoomFrame[]; oldest: number }>
  lost(peer: Peer, batches: number): void
  refuse(error: ClawmeshError, peer: Peer): void
  now(): number
}

const publishMs = 60_000
const maxPostBytes = 512 * 1024
const maxBatchBytes = 128 * 1024
const mostKept = 4096
const mostKeptBytes = 16 * 1024 * 1024

/** How long what was sealed to an earlier list is still taken: it was under way when the list changed. */
const graceMs = 5000
/** What comes a little later was not lost. */
const missedAfterMs = 100
const triesToRecover = 20
/** So long after its last batch a publisher says how far it got, or nobody would miss that one. */
const reachedAfterMs = 250

const batchSchema = z.array(z.tuple([time, z.unknown()]))

type Entry = { readonly post: Post; readonly bytes: number } | { readonly lost: Lost; readonly bytes: 0 }

export class Room {
  readonly #wire: RoomWire
  readonly #voice: Voice
  readonly #holder: Peer
  #keeper: Keeper | undefined
  #roster: Roster
  /** Of posts that are still taken. */
  #oldestEpoch: number
  readonly #hearings = new Map<string, Hearing>()
  readonly #recovering = new Set<Hearing>()
  /** Which batch was the first that was sealed for a member, by its run; and since which epoch that is in. */
  readonly #meantFrom = new Map<string, { number: number; since: number | undefined }>()
  /** Runs that were told the present key. */
  readonly #told = new Set<string>()
  #outbox: { deadline: number; packed: Uint8Array; value: unknown }[] = []
  #outboxBytes = 0
  #reachedTimer: NodeJS.Timeout | undefined
  #entries: Entry[] = []
  #bytes = 0
  /** Entries that are not kept any more. */
  #forgotten = 0
  readonly #readers = new Set<() => void>()
  #over: { error: ClawmeshError | undefined } | undefined

  constructor(wire: RoomWire, roster: Roster, holder: Peer, keeper?: Keeper) {
    this.#wire = wire
    this.#voice = wire.voice(roster.room)
    this.#roster = roster
    this.#oldestEpoch = roster.epoch
    this.#holder = holder
    this.#keeper = keeper
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
  async publish(value: unknown, { timeoutMs = publishMs }: PublishOptions = {}): Promise<void> {
    this.#throwIfOver()
    const packed = encode(value)
    if (packed.length > maxPostBytes) {
      throw new ClawmeshError(
        'MESSAGE_INVALID',
        `A post of ${packed.length} bytes is too large; the limit is ${maxPostBytes}.`,
        { hint: 'Say it in several.' },
      )
    }
    if (this.#outboxBytes + packed.length > maxBatchBytes) this.#flush()
    // A copy, so that nobody here shares memory with who said it.
    this.#outbox.push({ deadline: this.#wire.now() + timeoutMs, packed, value: decode(packed) })
    this.#outboxBytes += packed.length
    if (this.#outbox.length === 1) process.nextTick(() => this.#flush())
  }

  /**
   * All posts since this node came in that fit the schema, and then whatever comes, until the room is closed. Throws DENIED if this node was put out, UNREACHABLE
   * if posts were lost or the holder was, MAILBOX_FULL for a reader that is too slow.
   */
  async *subscribe<S extends z.ZodType>(
    schema: S,
    { signal, onLost }: SubscribeOptions = {},
  ): AsyncGenerator<Post<z.output<S>>, void, void> {
    for (let at = this.#forgotten; ; ) {
      if (signal?.aborted) return
      if (at < this.#forgotten) {
        throw new ClawmeshError(
          'MAILBOX_FULL',
          `${this.#forgotten - at} posts of room "${this.name}" went by unread.`,
          {
            hint: 'Read faster, or say less at a time.',
          },
        )
      }
      const entry = this.#entries[at - this.#forgotten]
      if (!entry) {
        if (this.#over?.error) throw this.#over.error
        if (this.#over) return
        await this.#more(signal)
        continue
      }
      at += 1
      if ('lost' in entry) {
        if (!onLost) throw lostIn(this.name, entry.lost)
        onLost(entry.lost)
        continue
      }
      const read = schema.safeParse(entry.post.value)
      if (read.success) yield { ...entry.post, value: read.data }
    }
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
    this.#flush()
    const { id: self } = this.#wire.self
    // Out and in again between two lists that came here: the others have forgotten what we said, and expect all of it to be meant for them.
    if (roster.members.get(self) !== this.#roster.members.get(self)) this.#meantFrom.clear()
    this.#roster = roster
    for (const [id, hearing] of this.#hearings) if (roster.members.get(id) !== hearing.since) this.#leave(hearing)
    for (const [id, { since }] of this.#meantFrom) if (roster.members.get(id) !== since) this.#meantFrom.delete(id)
    setTimeout(() => {
      this.#oldestEpoch = Math.max(this.#oldestEpoch, roster.epoch)
      for (const hearing of this.#hearings.values()) hearing.retire(roster.epoch)
    }, graceMs).unref()
  }

  /** A member is not to be trusted any more, or gone: nothing is sealed under a key that it has. */
  distrust(peer: Peer): void {
    if (!this.isMember(peer.id)) return
    this.#voice.give()
    this.#keeper?.lost(peer)
  }

  /** A publisher's key. Throws UNREACHABLE where that cannot be judged yet. */
  learn(announcement: Announcement, publisher: Peer, from: number): void {
    const { epoch } = announcement
    if (epoch > this.#roster.epoch)
      throw new ClawmeshError('UNREACHABLE', `Room "${this.name}" has no list of members of that epoch here yet.`)
    const since = this.#roster.members.get(publisher.id)
    if (since === undefined) throw outsider(publisher)
    if (epoch < this.#oldestEpoch) return
    const hearing = this.#hearingOf(publisher, since)
    hearing.announce(announcement, from)
    this.#open(hearing)
  }

  /** A batch, as it came from the broker. Throws UNAUTHENTIC unless a member said it, now and once. */
  receive(frame: RoomFrame, publisher: Peer): void {
    const since = this.#roster.members.get(publisher.id)
    if (since === undefined) {
      // Let in by a list that is still under way to us: it says soon how far it got, and is asked for the rest.
      if (frame.epoch > this.#roster.epoch) return
      throw outsider(publisher)
    }
    if (frame.epoch < Math.max(this.#oldestEpoch, since))
      throw new ClawmeshError('UNAUTHENTIC', 'A post of a room arrived under a key that is over.')
    const hearing = this.#hearingOf(publisher, since)
    hearing.check(frame)
    if (!isSignedBy(frame, publisher.certificate.publicKey))
      throw new ClawmeshError('UNAUTHENTIC', 'A post of a room arrived that its publisher did not sign.')
    hearing.hold(frame)
    this.#open(hearing)
  }

  /** A publisher says how far it got. */
  reached(publisher: Peer, number: number): void {
    const since = this.#roster.members.get(publisher.id)
    if (since === undefined) throw outsider(publisher)
    const hearing = this.#hearingOf(publisher, since)
    hearing.reached(number)
    this.#open(hearing)
  }

  again(from: number, to: number): { frames: Uint8Array[]; oldest: number } {
    return this.#voice.again(from, to, maxPostBytes)
  }

  /** With the reason, unless it was closed in good order. */
  end(error?: ClawmeshError): void {
    if (this.#over) return
    if (!error) this.#flush()
    clearTimeout(this.#reachedTimer)
    this.#over = { error }
    this.#voice.give()
    for (const hearing of this.#hearings.values()) hearing.wipe()
    this.#hearings.clear()
    this.#wake()
  }

  #held(): Keeper {
    this.#throwIfOver()
    if (this.#keeper) return this.#keeper
    throw new ClawmeshError('DENIED', `Room "${this.name}" is held by node "${this.#holder.certificate.name}".`, {
      hint: 'Only that node lets others in and out.',
    })
  }

  #throwIfOver(): void {
    if (!this.#over) return
    throw this.#over.error ?? new ClawmeshError('CANCELLED', `Room "${this.name}" was closed.`)
  }

  #hearingOf(publisher: Peer, since: number): Hearing {
    const known = this.#hearings.get(publisher.id)
    if (known) return known
    const hearing = new Hearing(publisher, since)
    this.#hearings.set(publisher.id, hearing)
    return hearing
  }

  /** Its publisher is out. What it said before and has come is heard; what has not will not be asked for. */
  #leave(hearing: Hearing): void {
    this.#hearings.delete(hearing.publisher.id)
    while (hearing.isStuck) {
      this.#lose(hearing.publisher, hearing.giveUp())
      this.#open(hearing)
    }
    hearing.wipe()
  }

  #peer(id: string): Peer | undefined {
    return id === this.#wire.self.id ? this.#wire.self : this.#wire.peer(id)
  }

  #others(): Peer[] {
    const { self } = this.#wire
    return [...this.#roster.members.keys()].flatMap((id) => (id === self.id ? [] : (this.#wire.peer(id) ?? [])))
  }

  #flush(): void {
    const batch = this.#outbox
    if (batch.length === 0 || this.#over) return
    this.#outbox = []
    this.#outboxBytes = 0
    const { epoch } = this.#roster
    const others = this.#others()
    if (others.length > 0) this.#say(batch, others, epoch)
    const { name } = this.#wire.self.certificate
    for (const { value, packed } of batch) this.#append({ post: { node: name, epoch, value }, bytes: packed.length })
  }

  #say(batch: { deadline: number; packed: Uint8Array; value: unknown }[], others: Peer[], epoch: number): void {
    const { send, announce } = this.#wire
    if (this.#voice.isDue(epoch) || others.some(({ id }) => !this.#told.has(id))) {
      const announcement = this.#voice.begin(epoch)
      this.#told.clear()
      for (const peer of others) {
        this.#told.add(peer.id)
        announce(this, peer, announcement, this.#firstFor(peer))
      }
    }
    const deadline = Math.max(...batch.map((post) => post.deadline))
    const frame = this.#voice.seal(encode(batch.map(({ deadline, value }) => [deadline, value])), deadline)
    for (const peer of others) send(peer, this.id, frame)
    clearTimeout(this.#reachedTimer)
    this.#reachedTimer = setTimeout(() => this.#tellReached(), reachedAfterMs)
  }

  #firstFor({ id }: Peer): number {
    const first = this.#meantFrom.get(id) ?? { number: this.#voice.number, since: this.#roster.members.get(id) }
    this.#meantFrom.set(id, first)
    return first.number
  }

  #tellReached(): void {
    const { number } = this.#voice
    for (const peer of this.#others()) void this.#wire.tellReached(this, peer, number)
  }

  #open(hearing: Hearing): void {
    const { publisher } = hearing
    for (;;) {
      try {
        const opened = hearing.open()
        if (!opened) break
        this.#read(opened.frame, opened.plain, publisher)
      } catch (error) {
        this.#wire.refuse(ClawmeshError.from(error), publisher)
        this.#lose(publisher, 1)
      }
    }
    if (hearing.isStuck && this.#hearings.get(publisher.id) === hearing) void this.#recover(hearing)
  }

  #read({ epoch, deadline: last }: RoomFrame, plain: Uint8Array, publisher: Peer): void {
    const { now, refuse } = this.#wire
    const node = publisher.certificate.name
    const batch = batchSchema.safeParse(decode(plain))
    if (!batch.success) throw new ClawmeshError('MESSAGE_INVALID', 'A batch of posts cannot be read.')
    for (const [deadline, value] of batch.data) {
      const late = now() - Math.min(deadline, last)
      if (late > clockToleranceMs) {
        refuse(new ClawmeshError('DEADLINE', 'A post of a room arrived after its deadline.'), publisher)
        this.#lose(publisher, 1)
      } else this.#append({ post: { node, epoch, value }, bytes: plain.length })
    }
  }

  /** Asks for what has not come, and waits for a key that has not, until nothing is missing or nothing more will come. */
  async #recover(hearing: Hearing): Promise<void> {
    const { publisher } = hearing
    if (this.#recovering.has(hearing)) return
    this.#recovering.add(hearing)
    for (let tries = 0; ; tries += 1) {
      await pause(missedAfterMs)
      const isHeard = this.#hearings.get(publisher.id) === hearing
      if (this.#over || !isHeard || !hearing.isStuck) break
      const { gap } = hearing
      const oldest = gap ? await this.#fetch(hearing, gap) : undefined
      if (this.#hearings.get(publisher.id) !== hearing) break
      const isOver = tries + 1 >= triesToRecover || this.#wire.peer(publisher.id) === undefined
      const isGone = gap !== undefined && oldest !== undefined && oldest > gap.from
      const lost = isOver ? hearing.giveUp() : isGone ? hearing.giveUp(Math.min(oldest, gap.to)) : 0
      this.#lose(publisher, lost)
      if (isOver || lost > 0) tries = 0
      this.#open(hearing)
      if (!hearing.isStuck) break
    }
    this.#recovering.delete(hearing)
  }

  /** The oldest batch that the publisher still has; undefined if it did not answer. */
  async #fetch(hearing: Hearing, gap: { from: number; to: number }): Promise<number | undefined> {
    try {
      const { frames, oldest } = await this.#wire.askAgain(this, hearing.publisher, gap)
      for (const frame of frames) this.#receiveAgain(hearing, frame)
      return oldest
    } catch {
      return undefined
    }
  }

  #receiveAgain(hearing: Hearing, frame: RoomFrame): void {
    const { publisher } = hearing
    if (this.#hearings.get(publisher.id) !== hearing) return
    try {
      if (frame.publisher === publisher.id && frame.room === this.id) this.receive(frame, publisher)
    } catch {
      // It came by itself meanwhile.
    }
  }

  #lose(publisher: Peer, batches: number): void {
    if (batches === 0) return
    this.#wire.lost(publisher, batches)
    this.#append({ lost: { node: publisher.certificate.name, batches }, bytes: 0 })
  }

  #append(entry: Entry): void {
    this.#entries.push(entry)
    this.#bytes += entry.bytes
    while (this.#entries.length > mostKept || this.#bytes > mostKeptBytes) {
      this.#bytes -= this.#entries.shift()?.bytes ?? 0
      this.#forgotten += 1
    }
    this.#wake()
  }

  #wake(): void {
    for (const reader of [...this.#readers]) reader()
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#readers.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#readers.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms).unref())

const outsider = ({ certificate }: Peer) =>
  new ClawmeshError('UNAUTHENTIC', `Node "${certificate.name}" says something in a room that it is not in.`)

const lostIn = (room: string, { node, batches }: Lost) =>
  new ClawmeshError('UNREACHABLE', `${batches} batches of posts of node "${node}" in room "${room}" were lost.`, {
    hint: 'They were sent and did not come, and its publisher has them no more.',
    data: { node, batches },
  })
