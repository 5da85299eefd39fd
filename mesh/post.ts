/**
 * Carries sealed letters between runs of nodes. The first half of the receive order is here, in one function and in this order:
 * decode → open → verify. What comes out was said by the peer it names, to us, now, once.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { Addresses } from './address.js'
import { decode, encode } from './codec.js'
import type { Directory } from './directory.js'
import {
  boundTo,
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  encodeHeader,
  type Kind,
  newMessageId,
} from './envelope.js'
import { clockToleranceMs } from './seal/certificate.js'
import { Channels } from './seal/channel.js'
import type { Incarnation, Peer } from './seal/incarnation.js'
import { ReplayGuard } from './seal/replay.js'
import type { Subscription, Transport } from './transport/transport.js'

export interface Letter {
  readonly peer: Peer
  readonly kind: Kind
  readonly call: number
  readonly deadline: number
  readonly body: unknown
}

export interface PostOptions {
  transport: Transport
  addresses: Addresses
  directory: Directory
  self: Incarnation
  now: () => number
  deliver: (letter: Letter) => void
  /** Something arrived that is not let in. `peer` is set only if the sender is proven. */
  refuse: (error: ClawmeshError, peer?: Peer) => void
}

/** The largest sealed letter; NATS refuses more than 1 MiB by default. */
export const maxLetterBytes = 900 * 1024

const introductionMs = 2000
/** What waits on the word of strangers, and what waits for the broker to come back: both bounded, in letters and in bytes. */
const maxHeldLetters = 1000
const maxHeldBytes = 32 * 1024 * 1024

interface Unsent {
  readonly peer: Peer
  readonly kind: Kind
  readonly call: number
  readonly deadline: number
  readonly plain: Uint8Array
}

export class Post {
  readonly #options: PostOptions
  readonly #channels: Channels
  readonly #replays: ReplayGuard
  readonly #waiting = new Map<string, { envelope: Envelope; subject: string }[]>()
  readonly #strangers = new Room(maxHeldLetters, maxHeldBytes)
  /** Letters for the time when the connection is back: the client would lose them without a word. */
  readonly #unsent: Unsent[] = []
  #unsentRoom = new Room(maxHeldLetters, maxHeldBytes)
  #connected = true
  #subscription: Subscription | undefined
  /** Letters sent to and taken from others. */
  sent = 0
  received = 0

  constructor(options: PostOptions) {
    this.#options = options
    this.#channels = new Channels(options.self)
    this.#replays = new ReplayGuard(options.now())
  }

  async start(): Promise<void> {
    const { transport, addresses, self } = this.#options
    const inbox = addresses.inbox(self)
    this.#subscription = await transport.subscribe(inbox, (subject, wire) => this.#receive(subject, wire))
  }

  stop(): void {
    this.#subscription?.unsubscribe()
  }

  forget(peer: Peer): void {
    this.#channels.forget(peer.id)
  }

  connection(connected: boolean): void {
    this.#connected = connected
    if (!connected) return
    this.#unsentRoom = new Room(maxHeldLetters, maxHeldBytes)
    const now = this.#options.now()
    for (const { peer, kind, call, deadline, plain } of this.#unsent.splice(0))
      if (deadline > now) this.#publish(peer, kind, call, deadline, plain)
  }

  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void {
    const { self, deliver } = this.#options
    const plain = encode(body)
    if (plain.length > maxLetterBytes) {
      throw new ClawmeshError(
        'MESSAGE_INVALID',
        `A message of ${plain.length} bytes is too large; the limit is ${maxLetterBytes}.`,
        {
          hint: 'Send it as a stream of smaller items.',
        },
      )
    }
    if (peer.id === self.id) {
      // To ourselves nothing needs sealing; decoding a copy keeps the two sides from sharing memory.
      setImmediate(() => deliver({ peer: self, kind, call, deadline, body: decode(plain) }))
      return
    }
    if (this.#connected) return this.#publish(peer, kind, call, deadline, plain)
    if (!this.#unsentRoom.take(plain.length)) {
      throw new ClawmeshError('UNREACHABLE', 'The broker is away and too much waits for it already.', {
        hint: 'Try again when it is back.',
      })
    }
    this.#unsent.push({ peer, kind, call, deadline, plain })
  }

  #publish(peer: Peer, kind: Kind, call: number, deadline: number, plain: Uint8Array): void {
    const { self, transport, addresses, now } = this.#options
    const subject = addresses.inbox(peer)
    const header = encodeHeader({ kind, from: self.id, to: peer.id, id: newMessageId(), call, sent: now(), deadline })
    transport.publish(subject, encodeEnvelope(header, this.#channels.seal(peer, plain, boundTo(subject, header))))
    this.sent += 1
  }

  #receive(subject: string, wire: Uint8Array): void {
    try {
      const envelope = decodeEnvelope(wire)
      const { from, to } = envelope.header
      if (to !== this.#options.self.id)
        throw new ClawmeshError('UNAUTHENTIC', 'A message arrived that is addressed to another node.')
      const peer = this.#options.directory.peer(from)
      if (peer && !this.#waiting.has(from)) this.#accept(subject, envelope, peer)
      else this.#awaitIntroduction(subject, envelope)
    } catch (error) {
      this.#options.refuse(ClawmeshError.from(error))
    }
  }

  #accept(subject: string, { header, headerBytes, sealed }: Envelope, peer: Peer): void {
    const { now, deliver, refuse, directory } = this.#options
    const plain = this.#channels.open(peer, sealed, boundTo(subject, headerBytes))
    const objection = directory.objection(peer)
    if (objection) return refuse(objection, peer)
    const skew = now() - header.sent
    if (Math.abs(skew) > clockToleranceMs) {
      const error = new ClawmeshError(
        'CLOCK_SKEW',
        `Node "${peer.certificate.name}" sent a message whose time is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'behind' : 'ahead of'} ours.`,
        { hint: 'Set the clocks of both machines (for example with an NTP service).' },
      )
      if (header.kind === 'ask' || header.kind === 'open')
        this.send(peer, 'error', header.call, now() + 5000, errorBody(error))
      // An answer of the wrong time is not believed, but who waits for it is told why. Its id is that of a call of ours, so nothing old passes for it.
      else if (header.kind === 'error' || header.kind === 'reply')
        deliver({ peer, kind: 'error', call: header.call, deadline: header.deadline, body: errorBody(error) })
      return refuse(error, peer)
    }
    if (!this.#replays.first(header.id, now())) {
      return refuse(new ClawmeshError('UNAUTHENTIC', 'A message arrived a second time.'), peer)
    }
    this.received += 1
    deliver({ peer, kind: header.kind, call: header.call, deadline: header.deadline, body: decode(plain) })
  }

  /** A node may write to us before the directory has told us of it; its letters wait for that, in order. */
  #awaitIntroduction(subject: string, envelope: Envelope): void {
    const { from } = envelope.header
    if (!this.#strangers.take(envelope.sealed.length)) throw strange()
    const queue = this.#waiting.get(from)
    if (queue) {
      queue.push({ subject, envelope })
      return
    }
    const waiting = [{ subject, envelope }]
    this.#waiting.set(from, waiting)
    void this.#options.directory
      .wait(() => this.#options.directory.peer(from), introductionMs)
      .then((peer) => {
        this.#waiting.delete(from)
        for (const letter of waiting) {
          this.#strangers.give(letter.envelope.sealed.length)
          if (peer) this.#acceptOrRefuse(letter.subject, letter.envelope, peer)
          else this.#options.refuse(strange())
        }
      })
  }

  #acceptOrRefuse(subject: string, envelope: Envelope, peer: Peer): void {
    try {
      this.#accept(subject, envelope, peer)
    } catch (error) {
      this.#options.refuse(ClawmeshError.from(error))
    }
  }
}

/** An error on the wire: its code, text, hint and facts; never its cause, which may hold anything. */
export function errorBody({ code, message, hint, data }: ClawmeshError): unknown {
  return [code, message, hint, data]
}

/** How much may be held at once. */
class Room {
  #letters: number
  #bytes: number

  constructor(letters: number, bytes: number) {
    this.#letters = letters
    this.#bytes = bytes
  }

  /** False if there is no room. */
  take(bytes: number): boolean {
    if (this.#letters < 1 || this.#bytes < bytes) return false
    this.#letters -= 1
    this.#bytes -= bytes
    return true
  }

  give(bytes: number): void {
    this.#letters += 1
    this.#bytes += bytes
  }
}

const strange = () => new ClawmeshError('UNAUTHENTIC', 'A message arrived from a node that nobody knows.')
