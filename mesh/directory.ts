/**
 * Who is in the mesh (`membership.ts`) and where each actor runs (`names.ts`): a mirror of one bucket, kept current by a watch.
 *
 * 1. A node's entry is its lease: it is written again every second. What is true of the others is true of this node: `lease.ts`.
 * 2. An actor's entry is written by compare-and-swap, and only over nobody or over an owner whose lease has ended: one name, one owner.
 * 3. An entry counts its node's connections. When the count changes, what was sent to that node in between may have met nobody: the wire does not say so, the
 *    directory does.
 */
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import type { Addresses } from './address.js'
import { decode, encode } from './codec.js'
import { Lease, type Looked, type Written } from './lease.js'
import { type Advert, Membership, type NodeInfo } from './membership.js'
import { Names } from './names.js'
import { openWith, sealWith } from './seal/box.js'
import type { Certificate } from './seal/certificate.js'
import { type Edition, readEdition } from './seal/edition.js'
import { readHangup } from './seal/hangup.js'
import { announce, type Incarnation, type Peer } from './seal/incarnation.js'
import { type SigningKey, utf8 } from './seal/keys.js'
import type { Bucket, Entry, Subscription } from './transport/transport.js'

export const beatMs = 1000
/** What each word counts beside the beats: so little that no run has said so much as to make a beat of it. */
const between = 2 ** -24

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
  readonly #changed = new Set<() => void>()
  readonly #takenListeners = new Set<(actor: string) => void>()
  readonly #policyListeners = new Set<(edition: Edition) => void>()
  #policy: Edition | undefined
  #watch: Subscription | undefined
  #timer: NodeJS.Timeout | undefined
  /** Beats by the clock, and what was said between them. Both are told in one number, which only rises. */
  #beat = { byClock: 0, between: 0 }
  #draining = false
  #connection = 1
  readonly #lease = new Lease()
  /** The newest beats of the others, by run, that were known when that of our own was sent which the bucket took last. */
  #beats: ReadonlyMap<string, number> = new Map()
  #advert: Advert = {}
  readonly #asked: (() => Advert)[] = []
  #announcement: Uint8Array

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#announcement = options.self.announcement
    const tell = () => {
      for (const changed of [...this.#changed]) changed()
    }
    // A node that is hung up on and lives says so.
    const answer = () => void this.#announce(0).catch(() => undefined)
    this.#members = new Membership({ ...options, changed: tell, hungUp: answer })
    this.#lease.onLapse(() => {
      this.#connection += 1
    })
  }

  async start(advert: Advert): Promise<void> {
    this.#advert = advert
    await this.observe()
    this.#beat.byClock += 1
    await this.#announce()
    this.#timer = setInterval(() => {
      this.#beat.byClock += 1
      // One that nobody takes is not repeated: the next one comes soon, and says more.
      void this.#announce(0).catch(() => undefined)
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
  async renew(certificate: Certificate, signing: SigningKey): Promise<void> {
    this.#announcement = announce(certificate, this.#options.self.agreementPublic, signing)
    await this.#announce()
  }

  /** Leaves: a node that says goodbye is gone at once, not when its lease ends. */
  async stop(): Promise<void> {
    this.leave()
    this.#draining = true
    const { bucket, addresses, self } = this.#options
    // Its last word, by which the others tell that it left and was not lost.
    await this.#announce(0).catch(() => undefined)
    await bucket.delete(addresses.nodeKey(self.certificate.name)).catch(() => undefined)
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
    this.#lease.onLapse(listener)
  }

  /** See `Lease.fence`. */
  fence(): () => Promise<void> {
    return this.#lease.fence()
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
    if (!this.#members.connection(connected)) return
    this.#connection += 1
    void this.#announce().catch(() => undefined)
  }

  /** Says this of this node, beside what it says already. */
  async describe(more: Advert, draining = this.#draining): Promise<void> {
    this.mention(more)
    this.#draining = draining
    await this.#announce()
  }

  /** The same, told with the next beat: for what changes all the time. A function is asked anew for each beat, and only then. */
  mention(more: Advert | (() => Advert)): void {
    if (typeof more === 'function') this.#asked.push(more)
    else this.#advert = { ...this.#advert, ...more }
  }

  async #announce(withinMs?: number): Promise<void> {
    const { bucket, addresses, self, now } = this.#options
    const key = addresses.nodeKey(self.certificate.name)
    this.#beat.between += 1
    const value = this.#seal(key, [
      this.#announcement,
      this.#beat.byClock + this.#beat.between * between,
      now(),
      this.#draining,
      this.#connection,
      Object.assign({}, this.#advert, ...this.#asked.map((more) => more())),
    ])
    const since = this.#lease.now()
    const beats = this.#members.beats()
    const revision = await bucket.put(key, value, withinMs).catch((error: unknown) => {
      if (ClawmeshError.from(error).data['leaderless']) this.#lease.leaderless()
      throw error
    })
    const looked = this.#lease.isLate ? await this.#look(revision) : undefined
    if (this.#lease.renew(since, revision, this.#members.size, looked)) this.#beats = beats
    this.#read({ key, value, revision })
  }

  /** `revision`: of the beat that came late. */
  async #look(revision: number): Promise<Looked> {
    const at = this.#lease.now()
    const before = this.#lease.revision
    const [hangup, others] = await Promise.all([
      this.#hangup(),
      this.#lease.isOver ? this.#writtenByOthers(revision) : undefined,
    ])
    return { at, hangup, ...(others ? { others, names: this.#names.takenBetween(before, revision) } : {}) }
  }

  async #hangup(): Promise<number | undefined> {
    const { bucket, addresses, self, rootKey } = this.#options
    const entry = await bucket.get(addresses.hangupKey(self.certificate.name))
    try {
      const isOurs = entry?.value && readHangup(entry.value, self.certificate.mesh, rootKey).run === self.id
      return isOurs ? entry.revision : undefined
    } catch {
      // Not signed by the authority: as if it were not there.
      return undefined
    }
  }

  /** Since our beat before this one; asked of the bucket, since the watch may lag behind. */
  #writtenByOthers(revision: number): Promise<Written[]> {
    const { bucket } = this.#options
    return Promise.all(
      this.#members.keysOfOthers().map(async (key) => {
        const entry = await bucket.get(key)
        if (entry?.value === undefined) return { beats: 0, times: 0 }
        this.#read(entry)
        const { run = '', beat = 0 } = this.#members.newestAt(key) ?? {}
        const last = this.#beats.get(run) ?? 0
        // One of after our own is not of the time that is asked about.
        const after = entry.revision > revision ? 1 : 0
        return {
          beats: Math.floor(beat) - Math.floor(last) - after,
          times: Math.round(((beat % 1) - (last % 1)) / between) - after,
        }
      }),
    )
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
