/**
 * How this node hears what others say in a room: takes what a member said, now and once, opens it in its order, and sees to it that what is missing comes or is said
 * to be lost.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { decode, time } from '../codec.js'
import { clockToleranceMs } from '../seal/certificate.js'
import type { Peer } from '../seal/incarnation.js'
import type { Announcement } from './announcement.js'
import { isSignedBy, type RoomFrame } from './frame.js'
import { Hearing } from './hearing.js'
import type { History } from './history.js'
import type { Roster } from './roster.js'

export interface ListenerOptions {
  readonly history: History
  /** The newest. */
  roster(): Roster
  /** A member that is there and may take part. */
  peer(id: string): Peer | undefined
  askAgain(from: Peer, gap: { from: number; to: number }): Promise<{ frames: RoomFrame[]; oldest: number }>
  lost(peer: Peer, batches: number): void
  refuse(error: ClawmeshError, peer: Peer): void
  now(): number
}

/** How long what was sealed to an earlier list is still taken: it was under way when the list changed. */
const graceMs = 5000
/** What comes a little later was not lost. */
const missedAfterMs = 100
/** Longer than a key is told for. */
const recoverForMs = 12_000

const batchSchema = z.array(z.tuple([time, z.unknown()]))

export class Listener {
  readonly #options: ListenerOptions
  /** By the ids of the publishers' runs. */
  readonly #hearings = new Map<string, Hearing>()
  readonly #recovering = new Set<Hearing>()
  /** Of posts that are still taken. */
  #oldestEpoch: number

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#oldestEpoch = options.roster().epoch
  }

  /** A publisher's key. Throws UNREACHABLE where that cannot be judged yet. */
  learn(announcement: Announcement, publisher: Peer, from: number): void {
    const { epoch } = announcement
    const { name } = this.#options.roster()
    if (epoch > this.#options.roster().epoch)
      throw new ClawmeshError('UNREACHABLE', `Room "${name}" has no list of members of that epoch here yet.`)
    const since = this.#options.roster().members.get(publisher.id)
    if (since === undefined) throw outsider(publisher)
    if (epoch < this.#oldestEpoch) return
    const hearing = this.#hearingOf(publisher, since)
    hearing.announce(announcement, from)
    this.#open(hearing)
  }

  /** A batch, as it came from the broker. Throws UNAUTHENTIC unless a member said it, now and once. */
  receive(frame: RoomFrame, publisher: Peer): void {
    const since = this.#options.roster().members.get(publisher.id)
    if (since === undefined) {
      // Let in by a list that is still under way to us: it says soon how far it got, and is asked for the rest.
      if (frame.epoch > this.#options.roster().epoch) return
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
    const since = this.#options.roster().members.get(publisher.id)
    if (since === undefined) throw outsider(publisher)
    const hearing = this.#hearingOf(publisher, since)
    hearing.reached(number)
    this.#open(hearing)
  }

  /** The list of members has changed. */
  regroup(): void {
    const { epoch, members } = this.#options.roster()
    for (const [id, hearing] of this.#hearings) if (members.get(id) !== hearing.since) this.#leave(hearing)
    setTimeout(() => {
      this.#oldestEpoch = Math.max(this.#oldestEpoch, epoch)
      for (const hearing of this.#hearings.values()) hearing.retire(epoch)
    }, graceMs).unref()
  }

  end(): void {
    for (const hearing of this.#hearings.values()) hearing.wipe()
    this.#hearings.clear()
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

  #open(hearing: Hearing): void {
    const { publisher } = hearing
    for (;;) {
      try {
        const opened = hearing.open()
        if (!opened) break
        this.#read(opened.frame, opened.plain, publisher)
      } catch (error) {
        this.#options.refuse(ClawmeshError.from(error), publisher)
        this.#lose(publisher, 1)
      }
    }
    if (hearing.isStuck && this.#hearings.get(publisher.id) === hearing) void this.#recover(hearing)
  }

  #read({ epoch, deadline: last }: RoomFrame, plain: Uint8Array, publisher: Peer): void {
    const { now, refuse } = this.#options
    const node = publisher.certificate.name
    const batch = batchSchema.safeParse(decode(plain))
    if (!batch.success) throw new ClawmeshError('MESSAGE_INVALID', 'A batch of posts cannot be read.')
    for (const [deadline, value] of batch.data) {
      const late = now() - Math.min(deadline, last)
      if (late > clockToleranceMs) {
        refuse(new ClawmeshError('DEADLINE', 'A post of a room arrived after its deadline.'), publisher)
        this.#lose(publisher, 1)
      } else this.#options.history.add({ node, epoch, value }, plain.length / batch.data.length)
    }
  }

  /** Asks for what has not come, and waits for a key that has not, until nothing is missing or nothing more will come. */
  async #recover(hearing: Hearing): Promise<void> {
    const { publisher } = hearing
    if (this.#recovering.has(hearing)) return
    this.#recovering.add(hearing)
    let [since, at] = [performance.now(), hearing.next]
    for (;;) {
      await pause(missedAfterMs)
      if (hearing.next !== at) [since, at] = [performance.now(), hearing.next]
      const isHeard = this.#hearings.get(publisher.id) === hearing
      if (!isHeard || !hearing.isStuck) break
      const { gap } = hearing
      const oldest = gap ? await this.#fetch(hearing, gap) : undefined
      if (this.#hearings.get(publisher.id) !== hearing) break
      const isOver = performance.now() - since > recoverForMs || this.#options.peer(publisher.id) === undefined
      const isGone = gap !== undefined && oldest !== undefined && oldest > gap.from
      const lost = isOver ? hearing.giveUp() : isGone ? hearing.giveUp(Math.min(oldest, gap.to)) : 0
      this.#lose(publisher, lost)
      this.#open(hearing)
      if (!hearing.isStuck) break
    }
    this.#recovering.delete(hearing)
  }

  /** The oldest batch that the publisher still has; undefined if it did not answer. */
  async #fetch(hearing: Hearing, gap: { from: number; to: number }): Promise<number | undefined> {
    try {
      const { frames, oldest } = await this.#options.askAgain(hearing.publisher, gap)
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
      if (frame.publisher === publisher.id && frame.room === this.#options.roster().room) this.receive(frame, publisher)
    } catch {
      // It came by itself meanwhile.
    }
  }

  #lose(publisher: Peer, batches: number): void {
    if (batches === 0) return
    this.#options.lost(publisher, batches)
    this.#options.history.lose({ node: publisher.certificate.name, batches })
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms).unref())

const outsider = ({ certificate }: Peer) =>
  new ClawmeshError('UNAUTHENTIC', `Node "${certificate.name}" says something in a room that it is not in.`)
