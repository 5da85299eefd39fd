/**
 * Carries sealed letters between runs of nodes. The first half of the receive order is here, in one function and in this order:
 * decode → open → verify. What comes out was said by the peer it names, to us, now, once.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import type { Directory } from '../directory.js'
import { clockToleranceMs } from '../seal/certificate.js'
import { type Frame, readFrame } from '../seal/frame.js'
import type { Incarnation, Peer } from '../seal/incarnation.js'
import type { Subscription, Transport } from '../transport/transport.js'
import { Assemblies, idleMs } from './assemblies.js'
import { decodeLetters, type Kind, type Letter, packBody, writeLetter } from './letter.js'
import { Parcels } from './parcels.js'
import { left, Sessions } from './sessions.js'
import { Space } from './space.js'

export interface PostOptions {
  transport: Transport
  addresses: Addresses
  directory: Directory
  self: Incarnation
  now: () => number
  deliver: (letter: Letter) => void
  /** Frames of a peer were sent to us and have not come: the broker, or one between, has dropped them. */
  missing: (peer: Peer, frames: number) => void
  /** What nobody waits for, and what has become of it: from whom to whom it was sent. */
  undelivered: (from: Peer, letter: Letter, error: ClawmeshError) => void
  /** Something arrived that is not let in. `peer` is set only if the sender is proven. */
  refuse: (error: ClawmeshError, peer?: Peer) => void
}

const introductionMs = 2000
/** What waits on the word of strangers, and what waits for the broker to come back: both bounded, in letters and in bytes. */
const maxHeldLetters = 1000
const maxHeldBytes = 32 * 1024 * 1024

export class Post {
  readonly #options: PostOptions
  readonly #sessions: Sessions
  readonly #parcels: Parcels
  readonly #assemblies: Assemblies
  /** Frames of nodes that the directory does not know yet, by their ids. */
  readonly #waiting = new Map<string, Frame[]>()
  readonly #strangers = new Space(maxHeldLetters, maxHeldBytes)
  /** Letters for the time when the connection is back: the client would lose them without a word. */
  readonly #unsent: { peer: Peer; deadline: number; letter: Uint8Array }[] = []
  #unsentSpace = new Space(maxHeldLetters, maxHeldBytes)
  #connected = true
  #isStopped = false
  #subscription: Subscription | undefined
  /** Letters sent to and taken from others. */
  sent = 0
  received = 0

  constructor(options: PostOptions) {
    this.#options = options
    const { self, addresses, transport, now } = options
    this.#sessions = new Sessions({
      self,
      addresses,
      publish: (peer, frame) => transport.publish(addresses.inbox(peer), frame),
      undeliverable: (peer, letters, error) => this.#answerFor(peer, letters, error),
      missing: options.missing,
      now,
    })
    this.#parcels = new Parcels({
      send: (peer, kind, call, deadline, body) =>
        this.#sendOne(peer, deadline, writeLetter(kind, call, deadline, packBody(body))),
      failed: (letter, error) => this.#parcelFailed(letter, error),
      now,
    })
    this.#assemblies = new Assemblies({
      deliver: (letter) => options.deliver(letter),
      acknowledge: (peer, id, taken) => this.#acknowledge(peer, id, taken),
    })
  }

  async start(): Promise<void> {
    const { transport, addresses, self } = this.#options
    this.#subscription = await transport.subscribe(addresses.inbox(self), (_, bytes) => this.#receive(bytes))
  }

  stop(): void {
    this.#isStopped = true
    this.#subscription?.unsubscribe()
    for (const { peer, letter } of this.#unsent.splice(0)) this.#answerFor(peer, letter, left())
    this.#parcels.close(left())
    this.#assemblies.close()
    this.#sessions.close()
  }

  /** The node is gone. */
  lose(peer: Peer): void {
    this.#sessions.lose(peer)
    this.#loseLarge(peer)
  }

  /** The node was cut off and is back: what it was sent meanwhile, it may never have got. */
  renew(peer: Peer): void {
    this.#sessions.renew(peer)
    this.#loseLarge(peer)
  }

  /** The others have forgotten us. */
  renewAll(): void {
    this.#sessions.renew()
    this.#loseLarge()
  }

  connection(connected: boolean): void {
    const isBack = connected && !this.#connected
    this.#connected = connected
    if (!connected) this.#loseLarge()
    if (!isBack) return
    this.#sessions.renew()
    this.#unsentSpace = new Space(maxHeldLetters, maxHeldBytes)
    const now = this.#options.now()
    const late = new ClawmeshError('DEADLINE', 'The broker was away until its deadline had passed.')
    for (const { peer, deadline, letter } of this.#unsent.splice(0)) {
      if (deadline > now) this.#dispatch(peer, letter)
      else this.#answerFor(peer, letter, late)
    }
  }

  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void {
    const { self, deliver } = this.#options
    const packed = packBody(body)
    if (peer.id === self.id) {
      // To ourselves nothing needs sealing; decoding a copy keeps the two sides from sharing memory.
      const letter = writeLetter(kind, call, deadline, packed)
      setImmediate(() => {
        for (const copy of decodeLetters(self, letter)) deliver(copy)
      })
      return
    }
    // Work that ends after its node has left answers nobody; the transport is closed by then, and would throw where nobody catches it.
    if (this.#isStopped) throw left()
    if (!this.#parcels.send(peer, kind, call, deadline, packed))
      this.#sendOne(peer, deadline, writeLetter(kind, call, deadline, packed))
  }

  #sendOne(peer: Peer, deadline: number, letter: Uint8Array): void {
    if (this.#isStopped) throw left()
    if (this.#connected) return this.#dispatch(peer, letter)
    if (!this.#unsentSpace.take(letter.length)) {
      throw new ClawmeshError('UNREACHABLE', 'The broker is away and too much waits for it already.', {
        hint: 'Try again when it is back.',
      })
    }
    this.#unsent.push({ peer, deadline, letter })
  }

  #dispatch(peer: Peer, letter: Uint8Array): void {
    this.#sessions.send(peer, letter)
    this.sent += 1
  }

  #receive(bytes: Uint8Array): void {
    try {
      const frame = readFrame(bytes)
      const from = frame.type === 'hello' ? frame.from : this.#sessions.claimedBy(frame)
      const peer = this.#options.directory.peer(from)
      if (peer && !this.#waiting.has(from)) this.#accept(frame, peer)
      else this.#awaitIntroduction(frame, from)
    } catch (error) {
      this.#options.refuse(ClawmeshError.from(error))
    }
  }

  #accept(frame: Frame, peer: Peer): void {
    if (frame.type === 'letter') return this.#take(peer, this.#sessions.open(frame))
    try {
      if (frame.type === 'welcome') this.#sessions.confirm(frame)
      else this.#take(peer, this.#sessions.answer(peer, frame))
    } catch (error) {
      // Its time is known only once its seal is open.
      const isProven = error instanceof ClawmeshError && error.code === 'CLOCK_SKEW'
      if (!isProven) throw error
      this.#options.refuse(error, peer)
    }
  }

  #take(peer: Peer, letters: Uint8Array): void {
    const { now, deliver, refuse, undelivered, directory } = this.#options
    const objection = directory.objection(peer)
    for (const letter of decodeLetters(peer, letters)) {
      const late = now() - letter.deadline
      if (objection) {
        refuse(objection, peer)
      } else if (late > clockToleranceMs) {
        const what = `A message arrived ${Math.round(late / 1000)} s after its deadline.`
        const error = new ClawmeshError('DEADLINE', what)
        if (letter.kind === 'tell') undelivered(peer, letter, error)
        else refuse(error, peer)
      } else {
        this.received += 1
        if (letter.kind === 'piece') this.#assemblies.add(letter)
        else if (letter.kind === 'more') this.#parcels.acknowledged(letter)
        else {
          if (letter.kind === 'cancel') this.#assemblies.abandon(letter)
          deliver(letter)
        }
      }
    }
  }

  /** A node may write to us before the directory has told us of it; its frames wait for that, in order. */
  #awaitIntroduction(frame: Frame, from: string): void {
    if (!this.#strangers.take(weightOf(frame))) throw strange()
    const queue = this.#waiting.get(from)
    if (queue) {
      queue.push(frame)
      return
    }
    const waiting = [frame]
    this.#waiting.set(from, waiting)
    const { directory, refuse } = this.#options
    void directory
      .wait(() => directory.peer(from), introductionMs)
      .then((peer) => {
        this.#waiting.delete(from)
        for (const held of waiting) {
          this.#strangers.give(weightOf(held))
          try {
            if (!peer) throw strange()
            this.#accept(held, peer)
          } catch (error) {
            refuse(ClawmeshError.from(error))
          }
        }
      })
  }

  /** What was on its way from or to a peer, or all. */
  #loseLarge(peer?: Peer): void {
    this.#assemblies.lose(peer)
    this.#parcels.lose(lost(), peer)
  }

  #acknowledge(peer: Peer, id: number, taken: number | null): void {
    const deadline = this.#options.now() + idleMs
    try {
      this.#sendOne(peer, deadline, writeLetter('more', 0, deadline, packBody([id, taken])))
    } catch {
      // There is no way to the sender: it hears nothing, and gives up.
    }
  }

  /** Who waits for an answer that was too much is told, here or there. */
  #parcelFailed(letter: Letter, error: ClawmeshError): void {
    const { deliver, undelivered, self } = this.#options
    const { peer, kind, call, deadline } = letter
    if (kind === 'ask' || kind === 'open')
      return deliver({ peer, kind: 'error', call, deadline, body: errorBody(error) })
    if (kind === 'tell') return undelivered(self, letter, error)
    // An answer: nobody is there to be told if its peer was lost.
    if (error.code === 'UNREACHABLE' || this.#isStopped) return
    try {
      this.send(peer, 'error', call, deadline, errorBody(error))
    } catch {
      // There is no way to the caller: its deadline tells it.
    }
  }

  /** Who waits for an answer that cannot come is told why; for what nobody waits it is a dead letter. */
  #answerFor(peer: Peer, letters: Uint8Array, error: ClawmeshError): void {
    const { deliver, undelivered, self } = this.#options
    for (const letter of decodeLetters(peer, letters)) {
      const { kind, call, deadline } = letter
      if (kind === 'ask' || kind === 'open') deliver({ peer, kind: 'error', call, deadline, body: errorBody(error) })
      else if (kind === 'tell') undelivered(self, letter, error)
      else if (kind === 'piece') this.#parcels.fail(letter, error)
    }
  }
}

/** An error on the wire: its code, text, hint and facts; never its cause, which may hold anything. */
export function errorBody({ code, message, hint, data }: ClawmeshError): unknown {
  return [code, message, hint, data]
}

const lost = () =>
  new ClawmeshError('UNREACHABLE', 'A node was lost, or cut off, while a large message was on its way.')

const weightOf = (frame: Frame) => (frame.type === 'letter' ? frame.sealed.length : frame.handshake.length)

const strange = () => new ClawmeshError('UNAUTHENTIC', 'A message arrived from a node that nobody knows.')
