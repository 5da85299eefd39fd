/**
 * Who is in the mesh, and alive, as the entries of the directory tell it.
 *
 * 1. A node whose entry stands still for longer than its lease is lost. Only time in which this node itself heard of the bucket counts, so a broker that was away, or a cluster that chose a
 *    leader, does not make everybody look dead.
 * 2. A hint of the authority that a node's connection has ended shortens the wait for its next beat, and does nothing else: one that lives answers it at once, and stays.
 * 3. A node is in the mesh as long as its certificate is: one that has expired or was revoked is lost at once, whatever its entry says, and what it still
 *    sends is refused. A revocation that was seen is never forgotten.
 */
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import { binary } from './codec.js'
import { hangupMs, leaseMs } from './lease.js'
import { checkDates } from './seal/certificate.js'
import { readHangup } from './seal/hangup.js'
import { type Incarnation, type Peer, readAnnouncement } from './seal/incarnation.js'
import { sameBytes } from './seal/keys.js'
import { readRevocations } from './seal/revocation.js'

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
  /** As its certificate says. */
  readonly labels: readonly string[]
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

export interface MembershipOptions {
  rootKey: Uint8Array
  self: Incarnation
  now: () => number
  /** Somebody came, went or is known better. */
  changed: () => void
  /** It was said of this run that its connection has ended. */
  hungUp: () => void
}

export class Membership {
  readonly #options: MembershipOptions
  readonly #nodes = new Map<string, KnownNode>()
  /** Key of the bucket to id. */
  readonly #keys = new Map<string, string>()
  readonly #revoked = new Set<string>()
  /** Runs of nodes that were let in once and no longer are: known, so that what they send can be refused by name. */
  readonly #barred = new Map<string, Peer>()
  readonly #lostListeners = new Set<(node: NodeInfo, left: boolean) => void>()
  readonly #returnedListeners = new Set<(node: NodeInfo) => void>()
  readonly #revokedListeners = new Set<(holder: string, node: Peer | undefined) => void>()
  #connected = true
  /** When the watch last brought something; undefined before it has. */
  #heard: number | undefined
  /** As long as it was said of some node that its connection had ended, and it has not beaten since. */
  #judging: NodeJS.Timeout | undefined

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** Known ones, alive or not. */
  get size(): number {
    return this.#nodes.size
  }

  nodes(): NodeInfo[] {
    return [...this.#nodes.values()].filter((node) => this.#isAlive(node))
  }

  peer(id: string): Peer | undefined {
    return this.#nodes.get(id)?.peer ?? this.#barred.get(id)
  }

  /** The run of this id, if it is alive. */
  alive(id: string): Peer | undefined {
    const node = this.#nodes.get(id)
    return node && this.#isAlive(node) ? node.peer : undefined
  }

  /** The run of this holder's node, and the newest beat that was heard of it; undefined where it is not in the mesh. */
  newestOf(holder: string): { run: string; name: string; beat: number } | undefined {
    for (const { peer, name, beat } of this.#nodes.values())
      if (peer.certificate.holder === holder) return { run: peer.id, name, beat }
    return undefined
  }

  /** Keys in the bucket of all that are known but this node. */
  keysOfOthers(): string[] {
    return [...this.#keys].flatMap(([key, id]) => (id === this.#options.self.id ? [] : [key]))
  }

  /** The run whose entry stands there, and the newest beat that was heard of it. */
  newestAt(key: string): { run: string; beat: number } | undefined {
    const node = this.#nodes.get(this.#keys.get(key) ?? '')
    return node && { run: node.peer.id, beat: node.beat }
  }

  /** The newest beat that was heard of each, by run. */
  beats(): ReadonlyMap<string, number> {
    return new Map([...this.#nodes].map(([id, { beat }]) => [id, beat]))
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

  onLost(listener: (node: NodeInfo, left: boolean) => void): () => void {
    this.#lostListeners.add(listener)
    return () => this.#lostListeners.delete(listener)
  }

  onReturned(listener: (node: NodeInfo) => void): void {
    this.#returnedListeners.add(listener)
  }

  onRevoked(listener: (holder: string, node: Peer | undefined) => void): void {
    this.#revokedListeners.add(listener)
  }

  /** True where it is back after it was lost. */
  connection(connected: boolean): boolean {
    const isBack = connected && !this.#connected
    this.#connected = connected
    if (isBack) this.#excuse()
    return isBack
  }

  leave(): void {
    clearInterval(this.#judging)
  }

  /** Nobody could be heard: everybody gets a new lease. */
  #excuse(): void {
    const now = performance.now()
    for (const node of this.#nodes.values()) {
      if (node.seen > 0) node.seen = now
      if (node.hungUp !== undefined) node.hungUp = now
    }
  }

  /** Something of the bucket has come. */
  hear(): void {
    const now = performance.now()
    if (this.#heard !== undefined && now - this.#heard > standstillMs) this.#excuse()
    this.#heard = now
  }

  readNode(key: string, content: unknown): void {
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
    const { name, roles, labels } = peer.certificate
    const aheadMs = now() - beatAt
    const node = { peer, announcement, name, roles, labels, draining, advert, connection, beat, seen, aheadMs }
    this.#nodes.set(peer.id, node)
    if (known && known.connection !== connection) for (const returned of this.#returnedListeners) returned(node)
    const before = this.#keys.get(key)
    this.#keys.set(key, peer.id)
    if (before !== undefined && before !== peer.id) this.#lose(before)
  }

  readHangup(value: Uint8Array): void {
    const { rootKey, self } = this.#options
    const { run, beat } = readHangup(value, self.certificate.mesh, rootKey)
    const node = this.#nodes.get(run)
    if (!node || node.beat > beat) return
    if (run === self.id) return this.#options.hungUp()
    node.hungUp ??= performance.now()
    this.#judging ??= setInterval(() => this.#judge(), judgeMs).unref()
  }

  readRevocations(value: Uint8Array): void {
    const { rootKey, self } = this.#options
    for (const holder of readRevocations(value, self.certificate.mesh, rootKey)) {
      if (this.#revoked.has(holder)) continue
      this.#revoked.add(holder)
      const runs = [...this.#nodes.values()].filter(({ peer }) => peer.certificate.holder === holder)
      for (const { peer } of runs) this.#bar(peer)
      for (const revoked of this.#revokedListeners) revoked(holder, runs[0]?.peer)
    }
  }

  /** A node's entry is gone: it left, where that was its last word. */
  forget(key: string): void {
    const known = this.#keys.get(key)
    if (known === undefined) return
    this.#keys.delete(key)
    this.#lose(known, this.#nodes.get(known)?.draining)
  }

  #bar(peer: Peer): void {
    this.#barred.set(peer.id, peer)
    this.#lose(peer.id)
  }

  #isAlive(node: KnownNode): boolean {
    if (this.objection(node.peer)) return false
    if (node.seen === 0) return false
    return !this.#connected || (this.#heard ?? node.seen) - node.seen < leaseMs
  }

  sweep(): void {
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
    this.#options.changed()
    if (node.seen > 0) for (const lost of this.#lostListeners) lost(node, left)
  }
}
