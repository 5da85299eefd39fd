/**
 * Who is in the mesh (`membership.ts`) and where each actor runs (`names.ts`): a mirror of one bucket, kept current by a watch.
 *
 * 1. A node's entry is its lease: it is written again every second. What is true of the others is true of this node: `presence.ts`.
 * 2. An actor's entry is written by compare-and-swap, and only over nobody or over an owner whose lease has ended: one name, one owner.
 * 3. An entry counts its node's connections. When the count changes, what was sent to that node in between may have met nobody: the wire does not say so, the
 *    directory does.
 */
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import type { Addresses } from './address.js'
import { decode, encode } from './codec.js'
import { type Advert, Membership, type NodeInfo } from './membership.js'
import { Names } from './names.js'
import { Presence } from './presence.js'
import { openWith, sealWith } from './seal/box.js'
import type { Certificate } from './seal/certificate.js'
import { type Edition, readEdition } from './seal/edition.js'
import type { Incarnation, Peer } from './seal/incarnation.js'
import { type SigningKey, utf8 } from './seal/keys.js'
import type { Bucket, Entry, Subscription } from './transport/transport.js'

export const beatMs = 1000

const actorSchema = z.tuple([z.string(), z.string()])

export interface DirectoryOptions {
  bucket: Bucket
  addresses: Addresses
  meshKey: Uint8Array
  rootKey: Uint8Array
  self: Incarnation
  now: () => number
}

export class Directory {
  readonly #options: DirectoryOptions
  readonly #members: Membership
  readonly #names = new Names()
  readonly #presence: Presence
  readonly #changed = new Set<() => void>()
  readonly #takenListeners = new Set<(actor: string) => void>()
  readonly #policyListeners = new Set<(edition: Edition) => void>()
  #policy: Edition | undefined
  #watch: Subscription | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#members = new Membership({
      ...options,
      changed: () => this.#tell(),
      hungUp: () => this.#presence.answer(),
    })
    this.#presence = new Presence({
      ...options,
      members: this.#members,
      names: this.#names,
      seal: (key, content) => this.#seal(key, content),
      read: (entry) => this.#read(entry),
    })
  }

  async start(advert: Advert): Promise<void> {
    await this.observe()
    await this.#presence.begin(advert)
    this.#timer = setInterval(() => {
      this.#presence.beat()
      this.#members.sweep()
    }, beatMs)
  }

  /** Looks on without taking part. */
  async observe(): Promise<void> {
    this.#watch = await this.#options.bucket.watch((entry) => {
      this.#members.hear()
      this.#read(entry)
    })
  }

  /** Goes on under a renewed certificate. */
  renew(certificate: Certificate, signing: SigningKey): Promise<void> {
    return this.#presence.renew(certificate, signing)
  }

  /** Leaves: a node that says goodbye is gone at once, not when its lease ends. */
  async stop(): Promise<void> {
    this.leave()
    await this.#presence.end()
  }

  /** Without a word. */
  leave(): void {
    clearInterval(this.#timer)
    this.#members.leave()
    this.#watch?.unsubscribe()
  }

  nodes(): NodeInfo[] {
    return this.#members.nodes()
  }

  node(name: string): NodeInfo | undefined {
    return this.nodes().find((node) => node.name === name)
  }

  peer(id: string): Peer | undefined {
    return this.#members.peer(id)
  }

  /** See `Membership.newestOf`. */
  newestOf(holder: string): ReturnType<Membership['newestOf']> {
    return this.#members.newestOf(holder)
  }

  /** The newest beat that was heard of each, by run. */
  beats(): ReadonlyMap<string, number> {
    return this.#members.beats()
  }

  isRevoked(holder: string): boolean {
    return this.#members.isRevoked(holder)
  }

  /** Why a peer may not take part (any more); undefined if it may. */
  objection(peer: Pick<Peer, 'certificate'>): ClawmeshError | undefined {
    return this.#members.objection(peer)
  }

  /** Where an actor runs now, if its node is alive. */
  locate(actor: string): Peer | undefined {
    const owner = this.#names.ownerOf(actor)
    return owner === undefined ? undefined : this.#members.alive(owner)
  }

  /** Every actor whose node is alive, by its name. */
  actors(): { name: string; node: string }[] {
    return this.#names.actors().flatMap((name) => {
      const owner = this.locate(name)
      return owner ? [{ name, node: owner.certificate.name }] : []
    })
  }

  /** Resolves with what `find` finds, looking again after each change, or with undefined when `withinMs` have passed or `signal` says enough. */
  async wait<T>(find: () => T | undefined, withinMs: number, signal?: AbortSignal): Promise<T | undefined> {
    const found = find()
    if (found !== undefined || withinMs <= 0) return found
    return new Promise((resolve) => {
      const look = (isLast: boolean) => {
        const now = find()
        if (now === undefined && !isLast) return
        clearTimeout(timer)
        this.#changed.delete(onChange)
        signal?.removeEventListener('abort', onAbort)
        resolve(now)
      }
      const onChange = () => look(false)
      const onAbort = () => look(true)
      signal?.addEventListener('abort', onAbort)
      // What came while this process stood still is read before it is too late.
      const timer = setTimeout(() => setImmediate(look, true), withinMs)
      this.#changed.add(onChange)
    })
  }

  /** Takes a name for an actor of this node. Rejects with DENIED if a living node has it. */
  async claim(actor: string): Promise<void> {
    const { bucket, addresses, self } = this.#options
    const key = addresses.actorKey(actor)
    for (;;) {
      const entry = await bucket.get(key)
      if (entry) this.#read(entry)
      const owner = this.#names.ownerOf(actor)
      if (owner !== undefined && owner !== self.id && this.locate(actor)) {
        throw new ClawmeshError(
          'DENIED',
          `An actor named "${actor}" runs already on node "${this.#members.alive(owner)?.certificate.name}".`,
          {
            hint: 'Choose another name, or stop that actor first.',
          },
        )
      }
      const value = this.#seal(key, [actor, self.id])
      const revision = await bucket.swap(key, value, entry?.revision ?? 0)
      if (revision !== undefined) return this.#read({ key, value, revision })
    }
  }

  async release(actor: string): Promise<void> {
    const known = this.#names.entry(actor)
    if (known?.owner !== this.#options.self.id) return
    // It may be another's by now, which we have not heard yet.
    await this.#options.bucket.delete(known.key, known.revision)
  }

  /** A node is gone: `left`, because it said so, or lost. */
  onLost(listener: (node: NodeInfo, left: boolean) => void): () => void {
    return this.#members.onLost(listener)
  }

  /** A node was cut off from the broker and is back. */
  onReturned(listener: (node: NodeInfo) => void): void {
    this.#members.onReturned(listener)
  }

  /** An actor of this node now belongs to another: what runs here is a leftover and must stop. */
  onTaken(listener: (actor: string) => void): void {
    this.#takenListeners.add(listener)
  }

  /** This node was cut off, and the others have given it up: nobody waits for what is done here, and nobody answers what was asked from here. */
  onCutOff(listener: () => void): void {
    this.#presence.onLapse(listener)
  }

  /** See `Lease.fence`. */
  fence(): () => Promise<void> {
    return this.#presence.fence()
  }

  /** The authority has revoked a certificate; `node` is the run that it belonged to, if there was one. */
  onRevoked(listener: (holder: string, node: Peer | undefined) => void): void {
    this.#members.onRevoked(listener)
  }

  /** The newest version of the mesh's policy that was seen; of two under one number the one that came last. */
  get policy(): Edition | undefined {
    return this.#policy
  }

  onPolicy(listener: (edition: Edition) => void): void {
    this.#policyListeners.add(listener)
  }

  connection(connected: boolean): void {
    if (this.#members.connection(connected)) this.#presence.reconnected()
  }

  /** Says this of this node, beside what it says already. */
  describe(more: Advert, draining?: boolean): Promise<void> {
    return this.#presence.describe(more, draining)
  }

  /** The same, told with the next beat: for what changes all the time. A function is asked anew for each beat as long as this node is in the mesh, and only then. */
  mention(more: Advert | (() => Advert)): void {
    this.#presence.mention(more)
  }

  #read({ key, value, revision }: Entry): void {
    try {
      if (value === undefined) this.#forget(key, revision)
      else if (key.startsWith('node.')) this.#members.readNode(key, this.#open(key, value))
      else if (key.startsWith('hangup.')) this.#members.readHangup(value)
      else if (key === this.#options.addresses.revokedKey) this.#members.readRevocations(value)
      else if (key === this.#options.addresses.policyKey) this.#readPolicy(key, value)
      else this.#readActor(key, this.#open(key, value), revision)
    } catch {
      // Not sealed by a member, or signed by nobody we know: as if it were not there.
      return
    }
    this.#tell()
  }

  #tell(): void {
    for (const changed of [...this.#changed]) changed()
  }

  #readPolicy(key: string, value: Uint8Array): void {
    const { meshKey, rootKey, self } = this.#options
    const edition = readEdition(openWith(meshKey, value, utf8(key)), self.certificate.mesh, rootKey)
    // Another one under the same number, of an authority that was restored, is told on: whoever took the first must learn of it.
    if (this.#policy && (edition.version < this.#policy.version || edition.hash === this.#policy.hash)) return
    this.#policy = edition
    for (const listener of this.#policyListeners) listener(edition)
  }

  #readActor(key: string, content: unknown, revision: number): void {
    const [actor, owner] = actorSchema.parse(content)
    const before = this.#names.ownerOf(actor)
    if (!this.#names.take(actor, { owner, key, revision })) return
    const self = this.#options.self.id
    if (before === self && owner !== self) for (const taken of this.#takenListeners) taken(actor)
  }

  #forget(key: string, revision: number): void {
    if (!key.startsWith('node.')) return this.#names.forget(key, revision)
    this.#members.forget(key)
  }

  #seal(key: string, content: unknown): Uint8Array {
    return sealWith(this.#options.meshKey, encode(content), utf8(key))
  }

  #open(key: string, value: Uint8Array): unknown {
    return decode(openWith(this.#options.meshKey, value, utf8(key)))
  }
}
