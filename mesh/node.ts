/**
 * One member of the mesh: its actors, its calls, its lease, its audit chain, over some transport.
 *
 *     const node = await joinMesh({ credentials, transport })
 *     const ref = await node.spawn(counter, { as: 'counter-1' })
 *     await ref.ask(Increment, 1)
 */

import { ClawmeshError, type ErrorCode } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import type { ActorDefinition, CallOptions } from './actor/actor.js'
import { LocalActors, type SpawnOptions } from './actor/local-actors.js'
import { ActorRef } from './actor/ref.js'
import { nodeActor, nodeActorName, roomsActor } from './actor/system.js'
import { type Addresses, addressesOf } from './address.js'
import { type Chain, memoryChain } from './audit/chain.js'
import type { AuditEvent, EventKind } from './audit/event.js'
import { Filings } from './audit/filing.js'
import { AuditWriter } from './audit/writer.js'
import { type SpanSink, Spans } from './calls/spans.js'
import { Traffic } from './calls/traffic.js'
import type { Lost } from './dead/letter.js'
import { DeadLetters } from './dead/writer.js'
import { Directory } from './directory.js'
import type { Mail } from './mail/mail.js'
import type { Advert, NodeInfo } from './membership.js'
import { roomsActorName } from './room/messages.js'
import type { Room } from './room/room.js'
import { Rooms } from './room/rooms.js'
import { type Certificate, readCertificate } from './seal/certificate.js'
import type { Credentials } from './seal/credentials.js'
import { beginIncarnation, type Incarnation, type Peer } from './seal/incarnation.js'
import type { SigningKey } from './seal/keys.js'
import type { SubjectKey } from './seal/subject.js'
import type { Transport } from './transport/transport.js'

export interface JoinOptions {
  credentials: Credentials
  transport: Transport
  /** Where this node's audit chain is kept; in memory if left out. */
  chain?: Chain
  /** Actor definitions that others may ask this node to start; a function where they need the node that they run on. */
  hosts?: ActorDefinition[] | ((node: MeshNode) => ActorDefinition[])
  advert?: Advert
  /** Gets a span of each call that the node makes or answers; it is the node's from here on, and is closed with it. */
  spans?: SpanSink | undefined
  now?: () => number
}

/** The transport is the node's from here on, and is closed with it, also if it cannot join. */
export async function joinMesh(options: JoinOptions): Promise<MeshNode> {
  const { credentials, transport, chain = memoryChain(), hosts = [], advert = {}, spans, now = Date.now } = options
  // A node whose clock is wrong would take everybody else's certificate for one of tomorrow, and see an empty mesh: its own says so first.
  readCertificate(credentials.certificate.wire, credentials.rootKey, now())
  const addresses = addressesOf(credentials.mesh, credentials.meshKey)
  const self = beginIncarnation(credentials)
  const bucket = await transport.bucket(addresses.directory).catch(async (error: unknown) => {
    await transport.close()
    throw error
  })
  const directory = new Directory({
    bucket,
    addresses,
    meshKey: credentials.meshKey,
    rootKey: credentials.rootKey,
    self,
    now,
  })
  const log = transport.log(addresses.auditStream)
  const { signing, rootKey } = credentials
  const filings = new Filings(rootKey)
  const audit = new AuditWriter({ credentials, addresses, log, chain, now, filings, fence: () => directory.fence() })
  const dead = new DeadLetters({ credentials, addresses, log: transport.log(addresses.deadStream), now })
  const parts = { self, signing, rootKey, transport, directory, audit, filings, dead, spans, now, addresses }
  const node = new MeshNode(parts)
  try {
    await node.begin(typeof hosts === 'function' ? hosts(node) : hosts, advert)
    return node
  } catch (error) {
    await node.abandon()
    throw error
  }
}

interface NodeParts {
  self: Incarnation
  signing: SigningKey
  rootKey: Uint8Array
  transport: Transport
  directory: Directory
  audit: AuditWriter
  filings: Filings
  dead: DeadLetters
  spans: SpanSink | undefined
  addresses: Addresses
  now: () => number
}

export class MeshNode {
  readonly self: Peer
  readonly directory: Directory
  readonly audit: AuditWriter
  /** Of the mesh: what is signed with its other half was said by the authority. */
  readonly rootKey: Uint8Array
  readonly now: () => number
  readonly #signing: SigningKey
  readonly #transport: Transport
  readonly #traffic: Traffic
  readonly #rooms: Rooms
  readonly #filings: Filings
  readonly #sink: SpanSink | undefined
  readonly #spans: Spans | undefined
  readonly #actors: LocalActors
  readonly #hosts = new Map<string, ActorDefinition>()
  #closing: Promise<void> | undefined

  constructor(parts: NodeParts) {
    const { self, signing, rootKey, transport, directory, audit, filings, dead, spans: sink, now, addresses } = parts
    this.self = self
    this.#signing = signing
    this.directory = directory
    this.audit = audit
    this.rootKey = rootKey
    this.now = now
    this.#transport = transport
    this.#filings = filings
    this.#sink = sink
    this.#spans = sink && new Spans(sink)
    const shared = { self, signing, transport, addresses, directory, now }
    this.#traffic = new Traffic({
      ...shared,
      rootKey,
      filings,
      dead,
      spans: this.#spans,
      find: (target) => this.find(target),
      cell: (name) => this.#actors.get(name),
      crashed: (cell, error) => void this.#actors.crashed(cell, error),
      note: (kind, facts, trace, actor) => this.note(kind, facts, trace, actor),
    })
    this.#rooms = new Rooms({
      ...shared,
      ref: (actor) => this.ref(actor),
      record: (facts) => void this.note('room.changed', facts).catch(() => undefined),
      lost: (peer, frames) => this.#traffic.missed(peer, frames),
      refuse: (error, peer) => this.#traffic.refuse(error, peer),
    })
    this.#actors = new LocalActors({
      claim: (actor) => directory.claim(actor),
      release: (actor) => directory.release(actor),
      ref: (actor) => this.ref(actor),
      noteCrash: (name, reason) => this.note('actor.crashed', { name, reason }),
    })
  }

  get name(): string {
    return this.self.certificate.name
  }

  get roles(): readonly Role[] {
    return this.self.certificate.roles
  }

  /** Sealed messages that this node sent to and took from others. */
  get traffic(): { sent: number; received: number } {
    return { sent: this.#traffic.sent, received: this.#traffic.received }
  }

  async begin(hosts: ActorDefinition[], advert: Advert): Promise<void> {
    for (const definition of hosts) this.#hosts.set(definition.name, definition)
    this.#transport.onConnection((connected) => this.#connection(connected))
    this.directory.onLost((node, left) => this.#lost(node, left))
    this.directory.onReturned(({ peer }) => this.#traffic.returned(peer))
    this.directory.onTaken((actor) => this.#actors.taken(actor))
    this.directory.onCutOff(() => this.#cutOff())
    this.directory.onRevoked((holder, peer) => this.#revoked(holder, peer))
    await this.#traffic.start()
    await this.#actors.start(nodeActor(this), nodeActorName(this.name))
    await this.#actors.start(roomsActor(this.#rooms), roomsActorName(this.name))
    await this.directory.start({ ...advert, since: this.now(), hosts: [...this.#hosts.keys()] })
    await this.note('node.joined', { roles: [...this.roles] })
  }

  /** Goes on under a renewed certificate, with the same key, name and roles. */
  renew(certificate: Certificate): Promise<void> {
    this.#traffic.renew(certificate)
    return this.directory.renew(certificate, this.#signing)
  }

  nodes(): NodeInfo[] {
    return this.directory.nodes()
  }

  ref(actor: string): ActorRef {
    return new ActorRef(actor, this.#traffic.calls)
  }

  /** Starts an actor here, under a name that nobody else in the mesh can have at the same time. */
  spawn<A>(definition: ActorDefinition<A>, options: SpawnOptions<A> = {}): Promise<ActorRef> {
    return this.#actors.spawn(definition, options)
  }

  /** Starts an actor that another node asked for, by the name of its definition. */
  spawnHosted(definition: string, options: SpawnOptions<unknown>): Promise<ActorRef> {
    const hosted = this.#hosts.get(definition)
    if (hosted) return this.spawn(hosted, options)
    throw new ClawmeshError('DENIED', `Node "${this.name}" does not host actors of type "${definition}".`, {
      hint: `It hosts: ${[...this.#hosts.keys()].join(', ') || 'none'}.`,
    })
  }

  /** Opens a room that this node holds, for these nodes and itself. See `room/room.ts`. */
  openRoom(name: string, members: readonly string[] = []): Promise<Room> {
    return this.#rooms.open(name, members)
  }

  /** A room that this node was let into, by its name and the node that holds it. Throws UNREACHABLE if it is not let in within the time. */
  room(name: string, holder: string, withinMs = 2000): Promise<Room> {
    return this.#rooms.find(name, holder, withinMs)
  }

  /** `of`: only if it was started for this supervisor and, where that is said, in this run. */
  stop(actor: string, of?: { name: string; run?: number | undefined }): Promise<void> {
    return this.#actors.stop(actor, of)
  }

  /** For the office that keeps mail: hands it over in its sender's name, with what `read` says that it says. Others take that from a node of the authority alone. */
  deliver(mail: Mail, read: () => Promise<unknown>, options: CallOptions): Promise<void> {
    return this.#traffic.deliver(mail, read, options)
  }

  /** Resolves to whether the stream of dead letters has it. */
  bury(lost: Lost & { code: ErrorCode }): Promise<boolean> {
    return this.#traffic.bury(lost)
  }

  /** Writes an event of this node down. */
  note(kind: EventKind, facts: AuditEvent['facts'], trace = '', actor = nodeActorName(this.name)): Promise<void> {
    return this.audit.record({ kind, trace, actor, facts })
  }

  /**
   * Files a task under the person whom it is about: whatever this node and those that it asks record of it from then on can be erased with that person's key,
   * which the authority gives out (`authority.subjects.keyOf(name)`). To be said before anything is done for the task.
   */
  file(trace: string, { wire }: Pick<SubjectKey, 'wire'>): void {
    this.#filings.learn(trace, wire)
  }

  /** The key of the person that a task is filed under. */
  filedUnder(trace: string): SubjectKey | undefined {
    return this.#filings.of(trace)
  }

  /** Does a piece of work of a task; where spans are taken it is one, and the calls of it are parts of it. */
  work<T>(name: string, { task, actor }: { task: string; actor: string }, does: () => Promise<T>): Promise<T> {
    return this.#spans ? this.#spans.of({ kind: 'internal', name, actor, task }, does) : does()
  }

  /** Leaves in good order: no new work, what is written reaches the stream, the lease is given back. */
  close(): Promise<void> {
    this.#closing ??= this.#leave()
    return this.#closing
  }

  /** Lets go of everything at once, for a node that never came up; what it wrote stands on its disk. */
  async abandon(): Promise<void> {
    this.#rooms.close()
    this.#traffic.close()
    this.directory.leave()
    await this.#traffic.stop(0)
    await this.audit.close()
    await this.#transport.close()
    await this.#sink?.close()
  }

  async #leave(): Promise<void> {
    this.#actors.end(new ClawmeshError('UNREACHABLE', `Node "${this.name}" is leaving the mesh.`))
    this.#rooms.close()
    this.#traffic.close()
    this.#traffic.flush()
    await this.note('node.left', { sent: this.traffic.sent, received: this.traffic.received })
    await this.audit.flush(5000)
    await this.#actors.releaseAll()
    await this.directory.stop()
    await this.#traffic.stop(buryWithinMs)
    this.#traffic.flush()
    await this.audit.close()
    await this.#transport.close()
    await this.#sink?.close()
  }

  /** Where an actor runs now, if it does. */
  find(target: string): Peer | undefined {
    if (this.#actors.has(target)) return this.self
    const node = nodeOf(target)
    return node === undefined ? this.directory.locate(target) : this.directory.node(node)?.peer
  }

  #connection(connected: boolean): void {
    this.directory.connection(connected)
    this.#traffic.connection(connected)
  }

  /** As if the connection had been lost: the others have given up what was under way between them and us. */
  #cutOff(): void {
    this.#traffic.cutOff()
    this.#rooms.cutOff()
    if (!this.#closing) void this.note('node.lost', { name: this.name }).catch(() => undefined)
  }

  /** The authority writes it down for all. */
  #revoked(holder: string, peer: Peer | undefined): void {
    if (peer) this.#rooms.lose(peer)
    if (!this.roles.includes('authority') || this.#closing) return
    void this.note('node.revoked', { holder, name: peer?.certificate.name ?? null }).catch(() => undefined)
  }

  #lost(node: NodeInfo, left: boolean): void {
    this.#traffic.lose(node.peer)
    this.#rooms.lose(node.peer)
    if (!this.#closing && !left) void this.note('node.lost', { name: node.name }).catch(() => undefined)
  }
}

const buryWithinMs = 2000

/** The node whose own actors answer to this name. */
const nodeOf = (target: string) => /^(?:node|rooms)\/(.*)$/s.exec(target)?.[1]
