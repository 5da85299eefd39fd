/**
 * This node's own lease, as far as it can be told from here: the bucket of the directory took a beat of it, and that one is good for as long as the others wait
 * for the next.
 *
 * A beat is good for an effect for a shorter time than the lease: after a hint that a node's connection has ended (hangup.ts) the others wait no longer for its next one. A node that has beaten
 * late looks whether there was such a hint before it goes on.
 *
 * A node whose lease has lapsed, while the others wrote on, was taken for lost. It has no work any more, and begins no effect until its lease is renewed.
 */
import { platform, uptime } from 'node:os'
import { ClawmeshError } from '../policies/errors.js'
import { failoverMs } from './transport/transport.js'

export const leaseMs = 4000
/** So long after a hint that its connection has ended, a node that has not beaten since is lost. More than a beat, and time to answer the hint. */
export const hangupMs = 1500

/** One other node writes at least so often in the time of a lease. */
const writesOfOthers = 3

/** By one node, to its own entry. */
export interface Written {
  /** Beats that came by the clock, one in a second at most. */
  readonly beats: number
  /** Those, and what it had to say between them. */
  readonly times: number
}

/** What is found by a node that has beaten late: whether there was a hint that its connection had ended, and who lived on meanwhile. */
export interface Looked {
  /** When it was asked, by the clock of the lease. */
  readonly at: number
  /** The revision of the newest one. */
  readonly hangup: number | undefined
  /** What each other node that is known has written between the two beats; left out where that was not asked. */
  readonly others?: readonly Written[] | undefined
  /** How many names of actors are known to have been taken between them, which is no sign of life of anybody for long. */
  readonly names?: number
}

/** A laptop whose lid was closed for an hour has not beaten for an hour. The monotonic clock of Linux stands still meanwhile, and its uptime does not; elsewhere that clock goes on. */
const withSleep = platform() === 'linux' ? () => uptime() * 1000 : () => performance.now()

export class Lease {
  /** Milliseconds, and goes on while the machine sleeps. */
  readonly now: () => number
  /** When the newest beat that the bucket took was sent, and its revision; undefined before one was. */
  #held: { since: number; revision: number } | undefined
  /** When it was last so that nobody could have gone by a hint: when that beat was sent, or when it was asked whether there was one. */
  #unhung = Number.NEGATIVE_INFINITY
  /** How often it has lapsed and the others have seen it. */
  #lapses = 0
  #sawNoLeader = false
  readonly #lapseListeners = new Set<() => void>()
  readonly #renewedListeners = new Set<() => void>()

  constructor(now: () => number = withSleep) {
    this.now = now
  }

  /** It lapsed, and the others have given this node up. */
  onLapse(listener: () => void): void {
    this.#lapseListeners.add(listener)
  }

  /** The broker said that nobody leads the bucket. */
  leaderless(): void {
    this.#sawNoLeader = true
  }

  /**
   * The bucket took a beat that was sent at `since`. If it took others' meanwhile it stood open to them, and they have missed this node. Where the broker said that
   * the bucket had no leader, everybody's first beats come in one rush when it has one: these are no proof, until a beat of this node was taken in time again. Nor is it
   * one where a whole machine stood still, and each node on it writes once when it goes on: nobody was there to miss anybody. To err is to
   * break work off that is asked for again. `looked` is what was found where the beat was late: a hint that came after the beat before may have been taken at its word.
   * False if a later beat was taken before.
   */
  renew(since: number, revision: number, nodes: number, looked?: Looked): boolean {
    const before = this.#held
    if (before && before.revision >= revision) return false
    this.#held = { since: Math.max(since, before?.since ?? since), revision }
    this.#unhung = Math.max(this.#unhung, looked?.at ?? since)
    const lapsed = before !== undefined && this.now() - before.since > leaseMs
    const written = before ? revision - before.revision - 1 : 0
    const most = mostOfOne(written - (looked?.names ?? 0), looked?.others)
    const isProof = this.#sawNoLeader ? written > 2 * nodes : most >= writesOfOthers
    // One that was sent before the bucket had a leader, and is answered only now, does not end that time.
    if (this.now() - since < leaseMs) this.#sawNoLeader = false
    const wasHungUp = before !== undefined && (looked?.hangup ?? 0) > before.revision
    if ((lapsed && isProof) || wasHungUp) {
      this.#lapses += 1
      for (const lapse of this.#lapseListeners) lapse()
    }
    for (const renewed of [...this.#renewedListeners]) renewed()
    return true
  }

  /** Of its newest beat. */
  get revision(): number {
    return this.#held?.revision ?? 0
  }

  /** The time of its newest beat is over. */
  get isOver(): boolean {
    return this.#held !== undefined && this.now() - this.#held.since > leaseMs
  }

  /** Its next beat comes so late that others could have gone by a hint. */
  get isLate(): boolean {
    return this.#held !== undefined && this.now() - this.#unhung >= hangupMs
  }

  /**
   * Begun before something that must not be done by a node that was given up, and asked right before it is done: resolves if this node has held its lease all
   * the time. Waits for a lease that has lapsed to be renewed; rejects with UNREACHABLE if it is not, or if the others have taken this node for lost.
   */
  fence(): () => Promise<void> {
    const lapses = this.#lapses
    return async () => {
      if (!(await this.#isHeld(failoverMs)) || this.#lapses !== lapses)
        throw new ClawmeshError('UNREACHABLE', 'This node was cut off from the mesh for longer than its lease.', {
          hint: 'Others may have taken its work over, so nothing was done here.',
        })
    }
  }

  async #isHeld(withinMs: number): Promise<boolean> {
    const isFresh = () => this.#held === undefined || (this.now() - this.#held.since < leaseMs && !this.isLate)
    if (isFresh()) return true
    return new Promise((resolve) => {
      const end = (is: boolean) => {
        clearTimeout(timer)
        this.#renewedListeners.delete(look)
        resolve(is)
      }
      const look = () => {
        if (isFresh()) end(true)
      }
      const timer = setTimeout(() => end(false), withinMs)
      this.#renewedListeners.add(look)
    })
  }
}

/** How often one other node has beaten, as far as is known: what nobody is known to have written may all be one's, and of all it is where nobody was asked. */
function mostOfOne(written: number, known: readonly Written[] = []): number {
  return Math.max(written - known.reduce((sum, { times }) => sum + times, 0), ...known.map(({ beats }) => beats))
}
