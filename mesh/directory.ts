/**
 * Who is in the mesh and where each actor runs: a mirror of one bucket, kept current by a watch.
 *
 * 1. A node's entry is its lease: it is written again every second, and a node whose entry stands still for longer than the lease is lost.
 * 2. Only time in which this node itself heard of the bucket counts, so a broker that was away, or a cluster that chose a leader, does not make everybody
 *    look dead. What is true of the others is true of this node: `lease.ts`.
 * 3. An actor's entry is written by compare-and-swap, and only over nobody or over an owner whose lease has ended: one name, one owner.
 * 4. An entry counts its node's connections. When the count changes, what was sent to that node in between may have met nobody: the wire does not say so, the
 *    directory does.
 * 5. A node is in the mesh as long as its certificate is: one that has expired or was revoked is lost at once, whatever its entry says, and what it still
 *    sends is refused. A revocation that was seen is never forgotten.
 * 6. A hint of the authority that a node's connection has ended shortens the wait for its next beat, and does nothing else: one that beats answers it at once, and stays.
 */
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import type { Addresses } from './address.js'
import { binary, decode, encode } from './codec.js'
import { hangupMs, Lease, leaseMs } from './lease.js'
import { Names } from './names.js'
import { openWith, sealWith } from './seal/box.js'
import { type Certificate, checkDates } from './seal/certificate.js'
import { type Edition, readEdition } from './seal/edition.js'
import { readHangup } from './seal/hangup.js'
import { announce, type Incarnation, type Peer, readAnnouncement } from './seal/incarnation.js'
import { type SigningKey, sameBytes, utf8 } from './seal/keys.js'
import { readRevocations } from './seal/revocation.js'
import type { Bucket, Entry, Subscription } from './transport/transport.js'

export const beatMs = 1000
/** A bucket of which nothing was heard for so long, its own beats included, stood still for everybody. */
const standstillMs = 2500
/** How often it is looked whether those have beaten of whom it was said that their connection had ended. */
const judgeMs = 100

/** What a node says of itself: free-form here, given meaning by those who place work. */
export type Advert = Record<string, unknown>

export interface NodeInfo {
  readonly peer: Peer
  readonly name: string
  readonly roles: readonly Role[]
  readonly draining: boolean
  readonly advert: Advert
  /** How often it has been connected, this time included. */
  readonly connection: number
  /** By how many milliseconds this machine's clock was ahead of that node's when its last beat came; more by up to its age for one that was there before us. */
  readonly aheadMs: number
}

interface KnownNode extends NodeInfo {
  announcement: Uint8Array
  beat: number
  /** On this machine's monotonic clock. */
  seen: number
  /** By the same clock, when it was said that its connection had ended after its newest beat. */
  hungUp?: number
}

const nodeSchema = z.tuple([binary, z.number(), z.number(), z.boolean(), z.number(), z.record(z.string(), z.unknown())])
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
  readonly #nodes = new Map<string, KnownNode>()
  readonly #names = new Names()
  /** Of nodes: key of the bucket to id. */
  readonly #keys = new Map<string, string>()
  readonly #revoked = new Set<string>()
  /** Runs of nodes that were let in once and no longer are: known, so that what they send can be refused by name. */
  readonly #barred = new Map<string, Peer>()
  readonly #changed = new Set<() => void>()
  readonly #lostListeners = new Set<(node: NodeInfo, left: boolean) => void>()
  readonly #returnedListeners = new Set<(node: NodeInfo) => void>()
  readonly #takenListeners = new Set<(actor: string) => void>()
  readonly #revokedListeners = new Set<(holder: string, node: Peer | undefined) => void>()
  readonly #policyListeners = new Set<(edition: Edition) => void>()
  #policy: Edition | undefined
  #watch: Subscription | undefined
  #timer: NodeJS.Timeout | undefined
  #beat = 0
  #draining = false
  #connected = true
  #connection = 1
  /** When the watch last brought something; undefined before it has. */
  #heard: number | undefined
  readonly #lease = new Lease()
  /** As long as it was said of some node that its connection had ended, and it has not beaten since. */
  #judging: NodeJS.Timeout | undefined
  #advert: Advert = {}
  #announcement: Uint8Array

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#announcement = options.self.announcement
    this.#lease.onLapse(() => {
      this.#connection += 1
    })
  }

  async start(advert: Advert): Promise<void> {
    this.#advert = advert
    await this.observe()
    await this.#announce()
    this.#timer = setInterval(() => {
      // One that nobody takes is not repeated: the next one comes soon, and says more.
      void this.#announce(0).catch(() => undefined)
      this.#sweep()
    }, beatMs)
  }

  /** Looks on without taking part. */
  async observe(): Promise<void> {
    this.#watch = await this.#options.bucket.watch((entry) => {
      this.#hear()
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
    clearInterval(this.#judging)
    this.#watch?.unsubscribe()
  }

  nodes(): NodeInfo[] {
    return [...this.#nodes.values()].filter((node) => this.#isAlive(node))
  }

  node(name: string): NodeInfo | undefined {
    return this.nodes().find((node) => node.name === name)
  }

  peer(id: string): Peer | undefined {
    return this.#nodes.get(id)?.peer ?? this.#barred.get(id)
  }

  /** The run of this holder's node, and the newest beat that was heard of it; undefined where it is not in the mesh. */
  newestOf(holder: string): { run: string; name: string; beat: number } | undefined {
    for (const { peer, name, beat } of this.#nodes.values())
      if (peer.certificate.holder === holder) return { run: peer.id, name, beat }
    return undefined
  }

  isRevoked(holder: string): boolean {
    return this.#revoked.has(holder)
  }

  /** Why a peer may not take part (any more); undefined if it may. */
  objection({ certificate }: Pick<Peer, 'certificate'>): ClawmeshError | undefined {
    if (this.#revoked.has(certificate.holder))
      return new ClawmeshError('UNAUTHENTIC', `Node "${certificate.name}" was revoked.`)
    try {
      checkDates(certificate, this.#options.now())
      return undefined
    } catch (error) {
      return ClawmeshError.from(error)
    }
  }

  /** Where an actor runs now, if its node is alive. */
  locate(actor: string): Peer | undefined {
    const owner = this.#names.ownerOf(actor)
    const node = owner === undefined ? undefined : this.#nodes.get(owner)
    return node && this.#isAlive(node) ? node.peer : undefined
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
      const timer = setTimeout(() => look(true), withinMs)
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
          `An actor named "${actor}" runs already on node "${this.#nodes.get(owner)?.name}".`,
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
    this.#lostListeners.add(listener)
    return () => this.#lostListeners.delete(listener)
  }

  /** A node was cut off from the broker and is back. */
  onReturned(listener: (node: NodeInfo) => void): void {
    this.#returnedListeners.add(listener)
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
    this.#revokedListeners.add(listener)
  }

  /** The newest version of the mesh's policy that was seen; of two under one number the one that came last. */
  get policy(): Edition | undefined {
    return this.#policy
  }

  onPolicy(listener: (edition: Edition) => void): void {
    this.#policyListeners.add(listener)
  }

  connection(connected: boolean): void {
    const isBack = connected && !this.#connected
    this.#connected = connected
    if (!isBack) return
    this.#connection += 1
    void this.#announce().catch(() => undefined)
    this.#excuse()
  }

  /** Nobody could be heard: everybody gets a new lease. */
  #excuse(): void {
    const now = performance.now()
    for (const node of this.#nodes.values()) {
      if (node.seen > 0) node.seen = now
      if (node.hungUp !== undefined) node.hungUp = now
    }
  }

  #hear(): void {
    const now = performance.now()
    if (this.#heard !== undefined && now - this.#heard > standstillMs) this.#excuse()
    this.#heard = now
  }

  /** Says this of this node, beside what it says already. */
  async describe(more: Advert, draining = this.#draining): Promise<void> {
    this.mention(more)
    this.#draining = draining
    await this.#announce()
  }

  /** The same, told with the next beat: for what changes all the time. */
  mention(more: Advert): void {
    this.#advert = { ...this.#advert, ...more }
  }

  async #announce(withinMs?: number): Promise<void> {
    const { bucket, addresses, self, now } = this.#options
    const key = addresses.nodeKey(self.certificate.name)
    this.#beat += 1
    const value = this.#seal(key, [
      this.#announcement,
      this.#beat,
      now(),
      this.#draining,
      this.#connection,
      this.#advert,
    ])
    const since = performance.now()
    const revision = await bucket.put(key, value, withinMs).catch((error: unknown) => {
      if (ClawmeshError.from(error).data['leaderless']) this.#lease.leaderless()
      throw error
    })
    const hangup = this.#lease.isLate ? await this.#newestHangup() : undefined
    this.#lease.renew(since, revision, this.#nodes.size, hangup)
    this.#read({ key, value, revision })
  }

  /** The revision of the newest hint about this run; undefined where there is none. */
  async #newestHangup(): Promise<number | undefined> {
    const { bucket, addresses, self, rootKey } = this.#options
    const entry = await bucket.get(addresses.hangupKey(self.certificate.name))
    if (!entry?.value) return undefined
    try {
      return readHangup(entry.value, self.certificate.mesh, rootKey).run === self.id ? entry.revision : undefined
    } catch {
      return undefined
    }
  }

  #read({ key, value, revision }: Entry): void {
    try {
      if (value === undefined) this.#forget(key, revision)
      else if (key.startsWith('node.')) this.#readNode(key, this.#open(key, value))
      else if (key.startsWith('hangup.')) this.#readHangup(value)
      else if (key === this.#options.addresses.revokedKey) this.#readRevocations(value)
      else if (key === this.#options.addresses.policyKey) this.#readPolicy(key, value)
      else this.#readActor(key, this.#open(key, value), revision)
    } catch {
      // Not sealed by a member, or signed by nobody we know: as if it were not there.
      return
    }
    for (const changed of [...this.#changed]) changed()
  }

  #readNode(key: string, content: unknown): void {
    const [announcement, beat, beatAt, draining, connection, advert] = nodeSchema.parse(content)
    const { rootKey, now } = this.#options
    const last = this.#nodes.get(this.#keys.get(key) ?? '')
    const peer =
      last && sameBytes(last.announcement, announcement) ? last.peer : readAnnouncement(announcement, rootKey, now())
    const known = this.#nodes.get(peer.id)
    if ((known && beat <= known.beat) || this.objection(peer)) return
    this.#barred.delete(peer.id)
    // An entry met for the first time may be one that a dead node left behind. If this errs, because clocks differ, the next beat mends it.
    const isFresh = known !== undefined || now() - beatAt < leaseMs
    const seen = isFresh ? performance.now() : 0
    const { name, roles } = peer.certificate
    const aheadMs = now() - beatAt
    const node = { peer, announcement, name, roles, draining, advert, connection, beat, seen, aheadMs }
    this.#nodes.set(peer.id, node)
    if (known && known.connection !== connection) for (const returned of this.#returnedListeners) returned(node)
    const before = this.#keys.get(key)
    this.#keys.set(key, peer.id)
    if (before !== undefined && before !== peer.id) this.#lose(before)
  }

  #readHangup(value: Uint8Array): void {
    const { rootKey, self } = this.#options
    const { run, beat } = readHangup(value, self.certificate.mesh, rootKey)
    const node = this.#nodes.get(run)
    if (!node || node.beat > beat) return
    if (run === self.id) return void this.#announce(0).catch(() => undefined)
    node.hungUp ??= performance.now()
    this.#judging ??= setInterval(() => this.#judge(), judgeMs).unref()
  }

  #readRevocations(value: Uint8Array): void {
    const { rootKey, self } = this.#options
    for (const holder of readRevocations(value, self.certificate.mesh, rootKey)) {
      if (this.#revoked.has(holder)) continue
      this.#revoked.add(holder)
      const runs = [...this.#nodes.values()].filter(({ peer }) => peer.certificate.holder === holder)
      for (const { peer } of runs) this.#bar(peer)
      for (const revoked of this.#revokedListeners) revoked(holder, runs[0]?.peer)
    }
  }

  #readPolicy(key: string, value: Uint8Array): void {
    const { meshKey, rootKey, self } = this.#options
    const edition = readEdition(openWith(meshKey, value, utf8(key)), self.certificate.mesh, rootKey)
    // Another one under the same number, of an authority that was restored, is told on: whoever took the first must learn of it.
    if (this.#policy && (edition.version < this.#policy.version || edition.hash === this.#policy.hash)) return
    this.#policy = edition
    for (const listener of this.#policyListeners) listener(edition)
  }

  #bar(peer: Peer): void {
    this.#barred.set(peer.id, peer)
    this.#lose(peer.id)
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
    const known = this.#keys.get(key)
    if (known === undefined) return
    this.#keys.delete(key)
    this.#lose(known, this.#nodes.get(known)?.draining)
  }

  #isAlive(node: KnownNode): boolean {
    if (this.objection(node.peer)) return false
    if (node.seen === 0) return false
    return !this.#connected || (this.#heard ?? node.seen) - node.seen < leaseMs
  }

  #sweep(): void {
    if (!this.#connected) return
    for (const node of this.#nodes.values()) {
      if (this.#isAlive(node) || node.peer.id === this.#options.self.id) continue
      if (this.objection(node.peer)) this.#bar(node.peer)
      else this.#lose(node.peer.id)
    }
  }

  /** By a timer of its own, and not as entries come: when this process stood still, what came meanwhile is read before anybody is judged by how long it took. */
  #judge(): void {
    const waiting = [...this.#nodes.values()].filter(({ hungUp }) => hungUp !== undefined)
    if (waiting.length === 0) {
      clearInterval(this.#judging)
      this.#judging = undefined
    }
    if (!this.#connected) return
    for (const { peer, hungUp = 0 } of waiting) if ((this.#heard ?? 0) - hungUp >= hangupMs) this.#lose(peer.id)
  }

  #lose(id: string, left = false): void {
    const node = this.#nodes.get(id)
    if (!node) return
    this.#nodes.delete(id)
    for (const changed of [...this.#changed]) changed()
    if (node.seen > 0) for (const lost of this.#lostListeners) lost(node, left)
  }

  #seal(key: string, content: unknown): Uint8Array {
    return sealWith(this.#options.meshKey, encode(content), utf8(key))
  }

  #open(key: string, value: Uint8Array): unknown {
    return decode(openWith(this.#options.meshKey, value, utf8(key)))
  }
}
