/**
 * The sessions of this run with its peers: begins one with the first thing that there is to say, renews it before it is old, answers those that others
 * begin.
 *
 * 1. Letters to a peer are opened there in the order in which they were sent here. What is said while a handshake is under way waits for its end.
 * 2. A hello is answered once. The broker can repeat it, but not to another run, since each run has keys of its own, and not later, since it says its time.
 * 3. Letters to one peer that are written in one turn of the event loop are sealed and sent as one: under load that is where the time goes.
 * 4. The newest session is sent with. Older ones still open what was under way, until they have aged out.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import { clockToleranceMs } from '../seal/certificate.js'
import { type HelloFrame, helloFrame, type LetterFrame, type WelcomeFrame, welcomeFrame } from '../seal/frame.js'
import type { Incarnation, Peer } from '../seal/incarnation.js'
import { hex, randomBytes, sameBytes, utf8 } from '../seal/keys.js'
import { Initiator, Responder } from '../seal/noise.js'
import { ReplayGuard } from '../seal/replay.js'
import { Session } from '../seal/session.js'
import { introduction, readIntroduction } from './introduction.js'
import { Outbox } from './outbox.js'
import { Space } from './space.js'

export interface SessionsOptions {
  self: Incarnation
  addresses: Addresses
  publish(peer: Peer, frame: Uint8Array): void
  /** Letters that will not reach their peer, and why. */
  undeliverable(peer: Peer, letters: Uint8Array, error: ClawmeshError): void
  /** So many frames of a peer were sent and have not come. */
  missing(peer: Peer, frames: number): void
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds on a clock that nobody sets. */
  elapsed?: () => number
}

/** A handshake that nobody answers is begun anew with what waits for it; an answer that comes late after all still counts. */
const answerWithinMs = 3000
const lateAnswerWithinMs = 60_000
const sweepMs = 30_000
const missingAfterMs = 1000
const maxWaitingLetters = 16_384
const maxWaitingBytes = 32 * 1024 * 1024

/** Of one peer; the oldest goes. An honest one has two or three at a time, and one that begins thousands must not fill our memory. */
const maxSessionsOfPeer = 16

interface Handshake {
  readonly peer: Peer
  readonly initiator: Initiator
  /** Went with the hello. */
  readonly first: Uint8Array
  readonly timer: NodeJS.Timeout
  /** Given up, and another one may be under way. */
  readonly isLate: boolean
}

export class Sessions {
  readonly #options: SessionsOptions
  /** By our index. */
  readonly #sessions = new Map<number, Session>()
  readonly #handshakes = new Map<number, Handshake>()
  /** By the peer's id: what is sent with, and our index of what is being begun. */
  readonly #current = new Map<string, Session>()
  readonly #beginning = new Map<string, number>()
  readonly #outboxes = new Map<string, Outbox>()
  readonly #byPeer = new Map<string, number[]>()
  readonly #hellos: ReplayGuard
  readonly #space = new Space(maxWaitingLetters, maxWaitingBytes)
  readonly #sweeper: NodeJS.Timeout
  readonly #elapsed: () => number
  /** Sessions with holes that may still be filled, and how many frames were said to be missing. */
  readonly #incomplete = new Set<Session>()
  readonly #said = new WeakMap<Session, number>()

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#elapsed = options.elapsed ?? (() => performance.now())
    this.#hellos = new ReplayGuard(options.now())
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs).unref()
  }

  /** Throws UNREACHABLE if too much waits already. */
  send(peer: Peer, letter: Uint8Array): void {
    if (!this.#space.take(letter.length)) {
      throw new ClawmeshError('UNREACHABLE', `Too much waits for node "${peer.certificate.name}" to answer.`, {
        hint: 'Send more slowly.',
      })
    }
    const outbox = this.#outboxFor(peer)
    if (outbox.isFullFor(letter.length)) this.#flush(outbox)
    outbox.add(letter)
    if (outbox.isDue) return
    outbox.isDue = true
    process.nextTick(() => {
      outbox.isDue = false
      this.#flush(outbox)
    })
  }

  /** Answers a hello and gives the letter that came with it. Throws if it is not what it says. */
  answer(peer: Peer, { handshake }: HelloFrame): Uint8Array {
    const { self, publish, now } = this.#options
    const responder = new Responder(self.agreement, this.#prologue(peer, self))
    const { time, index, rest } = readIntroduction(responder.read(handshake))
    if (!sameBytes(responder.initiator, peer.agreementPublic))
      throw unauthentic('A message arrived in the name of another.')
    if (!this.#hellos.first(hex(handshake.subarray(0, 32)), now()))
      throw unauthentic('A message arrived a second time.')
    const mine = this.#freeIndex()
    const welcome = responder.write(introduction(now(), mine))
    // Sent to one whose clock is wrong, too: it sees by our time why it is not heard.
    publish(peer, welcomeFrame(index, welcome))
    checkClock(peer, time, now())
    this.#establish(peer, mine, new Session(peer, index, responder.keys(), this.#elapsed()))
    return rest
  }

  /** Takes the answer to a hello of ours. */
  confirm({ index, handshake }: WelcomeFrame): void {
    const { now, undeliverable } = this.#options
    const begun = this.#handshakes.get(index)
    if (!begun) throw unknownSession()
    const { peer, initiator, first } = begun
    const { time, index: theirs } = readIntroduction(initiator.read(handshake))
    this.#end(index)
    try {
      checkClock(peer, time, now())
    } catch (error) {
      undeliverable(peer, first, ClawmeshError.from(error))
      // The next to speak finds out for itself: clocks are set right.
      this.#flush(this.#outboxFor(peer))
      throw error
    }
    this.#establish(peer, index, new Session(peer, theirs, initiator.keys(), this.#elapsed()))
  }

  /** Opens a letter under the session that it names. */
  open(frame: LetterFrame): Uint8Array {
    const session = this.#sessions.get(frame.index)
    if (!session?.mayOpen(this.#elapsed())) throw unknownSession()
    const plain = session.open(frame)
    if (session.missing > 0) this.#awaitMissing(session)
    return plain
  }

  /** What comes a little later was not lost. */
  #awaitMissing(session: Session): void {
    if (this.#incomplete.has(session)) return
    const said = this.#said.get(session) ?? 0
    if (session.missing <= said) return
    this.#incomplete.add(session)
    setTimeout(() => {
      this.#incomplete.delete(session)
      if (session.missing <= said) return
      this.#said.set(session, session.missing)
      this.#options.missing(session.peer, session.missing - said)
    }, missingAfterMs).unref()
  }

  /** The id of the peer whose session or handshake a frame names. Nothing is proven by that yet. */
  claimedBy({ index }: WelcomeFrame | LetterFrame): string {
    const peer = this.#sessions.get(index)?.peer ?? this.#handshakes.get(index)?.peer
    if (!peer) throw unknownSession()
    return peer.id
  }

  /** A peer may no longer know of our sessions, or never have got our hello: what there is to say begins a new one. */
  renew(peer?: Peer): void {
    for (const id of peer ? [peer.id] : [...this.#current.keys()]) this.#current.delete(id)
    for (const [index, handshake] of [...this.#handshakes])
      if (!handshake.isLate && (!peer || handshake.peer.id === peer.id)) this.#beginAgain(index)
  }

  /** Nobody is there any more: what waits for it is given up. What it sent before it went is still opened. */
  lose(peer: Peer): void {
    this.#current.delete(peer.id)
    this.#end(this.#beginning.get(peer.id))
    const outbox = this.#outboxes.get(peer.id)
    const gone = new ClawmeshError(
      'UNREACHABLE',
      `Node "${peer.certificate.name}" was lost before this was sent to it.`,
    )
    while (outbox && !outbox.isEmpty) this.#options.undeliverable(peer, outbox.take(), gone)
    this.#outboxes.delete(peer.id)
  }

  /** What still waits is given up. */
  close(): void {
    clearInterval(this.#sweeper)
    for (const outbox of this.#outboxes.values())
      while (!outbox.isEmpty) this.#options.undeliverable(outbox.peer, outbox.take(), left())
    for (const index of [...this.#handshakes.keys()]) this.#end(index)
    for (const session of this.#sessions.values()) session.end()
    this.#sessions.clear()
    this.#current.clear()
  }

  #flush(outbox: Outbox): void {
    const { peer } = outbox
    const now = this.#elapsed()
    while (!outbox.isEmpty) {
      const session = this.#current.get(peer.id)
      const isBeginning = this.#beginning.has(peer.id)
      if (session?.maySend(now) && (isBeginning || !session.isDue(now)))
        this.#options.publish(peer, session.seal(outbox.take()))
      else if (isBeginning) return
      else this.#begin(peer, outbox.take())
    }
  }

  #begin(peer: Peer, first: Uint8Array): void {
    const { self, publish, now } = this.#options
    const index = this.#freeIndex()
    const initiator = new Initiator(self.agreement, peer.agreementPublic, this.#prologue(self, peer))
    const timer = setTimeout(() => this.#beginAgain(index), answerWithinMs)
    this.#handshakes.set(index, { peer, initiator, first, timer, isLate: false })
    this.#beginning.set(peer.id, index)
    publish(peer, helloFrame(self.id, initiator.write(introduction(now(), index, first))))
  }

  /** With what waits, if anything does: what went with the hello may have arrived. */
  #beginAgain(index: number): void {
    const handshake = this.#end(index)
    if (!handshake) return
    const timer = setTimeout(() => this.#end(index), lateAnswerWithinMs).unref()
    this.#handshakes.set(index, { ...handshake, timer, isLate: true })
    this.#flush(this.#outboxFor(handshake.peer))
  }

  #establish(peer: Peer, index: number, session: Session): void {
    this.#sessions.set(index, session)
    this.#current.set(peer.id, session)
    const indexes = this.#byPeer.get(peer.id) ?? []
    this.#byPeer.set(peer.id, [...indexes, index])
    if (indexes.length >= maxSessionsOfPeer) this.#drop(indexes[0])
    this.#flush(this.#outboxFor(peer))
  }

  #end(index: number | undefined): Handshake | undefined {
    const handshake = index === undefined ? undefined : this.#handshakes.get(index)
    if (index === undefined || !handshake) return undefined
    clearTimeout(handshake.timer)
    this.#handshakes.delete(index)
    if (this.#beginning.get(handshake.peer.id) === index) this.#beginning.delete(handshake.peer.id)
    return handshake
  }

  #outboxFor(peer: Peer): Outbox {
    const known = this.#outboxes.get(peer.id)
    if (known) return known
    const outbox = new Outbox(peer, this.#space)
    this.#outboxes.set(peer.id, outbox)
    return outbox
  }

  #sweep(): void {
    const now = this.#elapsed()
    for (const [index, session] of this.#sessions) if (!session.mayOpen(now)) this.#drop(index)
  }

  /** Forgets a session and its keys. */
  #drop(index: number | undefined): void {
    const session = index === undefined ? undefined : this.#sessions.get(index)
    if (index === undefined || !session) return
    const { id } = session.peer
    session.end()
    this.#sessions.delete(index)
    if (this.#current.get(id) === session) this.#current.delete(id)
    const left = this.#byPeer.get(id)?.filter((other) => other !== index) ?? []
    if (left.length > 0) this.#byPeer.set(id, left)
    else this.#byPeer.delete(id)
  }

  #freeIndex(): number {
    for (;;) {
      const index = Buffer.from(randomBytes(4)).readUInt32LE()
      if (!this.#sessions.has(index) && !this.#handshakes.has(index)) return index
    }
  }

  /** Binds a session to the addresses of both sides, and so to the mesh. */
  #prologue(initiator: Peer, responder: Peer): Uint8Array {
    const { addresses } = this.#options
    return utf8(`clawmesh 2\0${addresses.inbox(initiator)}\0${addresses.inbox(responder)}`)
  }
}

function checkClock(peer: Peer, time: number, now: number): void {
  const skew = now - time
  if (Math.abs(skew) <= clockToleranceMs) return
  throw new ClawmeshError(
    'CLOCK_SKEW',
    `Node "${peer.certificate.name}" sent a message whose time is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'behind' : 'ahead of'} ours.`,
    { hint: 'Set the clocks of both machines (for example with an NTP service).' },
  )
}

export const left = () => new ClawmeshError('UNREACHABLE', 'The node left the mesh before it could send this.')

const unknownSession = () => unauthentic('A message arrived for a session that is not known.')
const unauthentic = (what: string) => new ClawmeshError('UNAUTHENTIC', what)
