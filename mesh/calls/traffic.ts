/**
 * The letters between this node and the others: calls that its actors make and answer, what of them is refused, and what nobody takes. Where actors run, and who is in the mesh, is
 * told by the node and its directory.
 */
import type { Principal } from '../../policies/decide.js'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import type { CallOptions } from '../actor/actor.js'
import type { Cell } from '../actor/cell.js'
import type { Caller } from '../actor/ref.js'
import type { Addresses } from '../address.js'
import type { AuditEvent, EventKind } from '../audit/event.js'
import type { Filings } from '../audit/filing.js'
import { Grants } from '../capability/grants.js'
import type { Lost } from '../dead/letter.js'
import type { DeadLetters } from '../dead/writer.js'
import type { Directory } from '../directory.js'
import type { Mail } from '../mail/mail.js'
import type { Letter } from '../post/letter.js'
import { Post } from '../post/post.js'
import { type Certificate, readCertificate } from '../seal/certificate.js'
import type { Incarnation, Peer } from '../seal/incarnation.js'
import type { SigningKey } from '../seal/keys.js'
import type { Transport } from '../transport/transport.js'
import { Deadlines } from './deadlines.js'
import { Inbound } from './inbound.js'
import { Outbound } from './outbound.js'
import { Refusals } from './refusals.js'
import { SpannedCalls, type Spans } from './spans.js'

export interface TrafficOptions {
  self: Incarnation
  signing: SigningKey
  rootKey: Uint8Array
  transport: Transport
  addresses: Addresses
  directory: Directory
  filings: Filings
  dead: DeadLetters
  /** Undefined: nobody takes any. */
  spans: Spans | undefined
  /** Where an actor runs now, if it does. */
  find(target: string): Peer | undefined
  /** An actor of this node. */
  cell(name: string): Cell | undefined
  crashed(cell: Cell, error: unknown): void
  note(kind: EventKind, facts: AuditEvent['facts'], trace?: string, actor?: string): Promise<void>
  now(): number
}

export class Traffic {
  readonly calls: Caller
  readonly #options: TrafficOptions
  readonly #post: Post
  readonly #inbound: Inbound
  readonly #outbound: Outbound
  readonly #grants: Grants
  readonly #refusals: Refusals

  constructor(options: TrafficOptions) {
    const { self, signing, rootKey, transport, addresses, directory, filings, spans, note, now } = options
    this.#options = options
    this.#refusals = new Refusals((facts) => note('message.denied', facts))
    this.#post = new Post({
      transport,
      addresses,
      directory,
      self,
      now,
      deliver: (letter) => this.#deliver(letter),
      missing: (peer, frames) => this.missed(peer, frames),
      refuse: (error, peer) => this.refuse(error, peer),
      undelivered: (from, letter, error) => this.#undelivered(from, letter, error, { begun: false }),
    })
    const isRevoked = (holder: string) => directory.isRevoked(holder)
    const grants = new Grants({ self, signing, rootKey, isRevoked, record: note, now })
    this.#grants = grants
    const shared = { grants, filings, deadlines: new Deadlines(), now }
    const send: Post['send'] = (peer, kind, call, deadline, body) => this.#post.send(peer, kind, call, deadline, body)
    this.#outbound = new Outbound({
      ...shared,
      find: options.find,
      await: (target, withinMs, signal) => directory.wait(() => options.find(target), withinMs, signal),
      send,
      notAsked: (peer) =>
        this.refuse(new ClawmeshError('UNAUTHENTIC', 'An answer arrived from a node that was not asked.'), peer),
      span: () => spans?.wire,
    })
    this.calls = spans ? new SpannedCalls(this.#outbound, spans) : this.#outbound
    this.#inbound = new Inbound({
      ...shared,
      cell: options.cell,
      send,
      refused: (error, peer) => this.refuse(error, peer),
      undelivered: (letter, error, known) => this.#undelivered(letter.peer, letter, error, known),
      crashed: options.crashed,
      senderOfMail: (carrier, certificate) => this.#senderOfMail(carrier, certificate),
      spans,
    })
  }

  /** Sealed messages that this node sent to and took from others. */
  get sent(): number {
    return this.#post.sent
  }

  get received(): number {
    return this.#post.received
  }

  start(): Promise<void> {
    return this.#post.start()
  }

  /** Goes on under a renewed certificate. */
  renew(certificate: Certificate): void {
    this.#grants.renew(certificate)
  }

  /** See `MeshNode.deliver`. */
  deliver(mail: Mail, read: () => Promise<unknown>, options: CallOptions): Promise<void> {
    return this.#outbound.deliver(mail, read, options)
  }

  /** Resolves to whether the stream of dead letters has it. */
  bury(lost: Lost & { code: ErrorCode }): Promise<boolean> {
    this.#refusals.count(lost.code, lost.reason, lost.from.name)
    return this.#options.dead.bury(lost)
  }

  /** Something that came was not let in; from whom, where that is known. */
  refuse(error: ClawmeshError, peer: Peer | undefined): void {
    this.#refusals.count(error.code, error.message, peer?.certificate.name)
  }

  /** So many of what a node sent did not come. */
  missed({ certificate }: Peer, frames: number): void {
    void this.#options.note('message.lost', { node: certificate.name, frames }).catch(() => undefined)
  }

  connection(connected: boolean): void {
    this.#post.connection(connected)
    if (!connected) this.#breakOff()
  }

  /** As if the connection had been lost: the others have given up what was under way between them and us. */
  cutOff(): void {
    this.#breakOff()
    this.#post.renewAll()
  }

  lose(peer: Peer): void {
    this.#outbound.lose(peer)
    this.#inbound.lose(peer)
    this.#post.lose(peer)
  }

  /** It was cut off from the broker and is back: what was sent to it meanwhile may have met nobody. */
  returned(peer: Peer): void {
    this.#outbound.lose(peer)
    this.#post.renew(peer)
  }

  /** No more calls are made; what comes is still answered. */
  close(): void {
    this.#outbound.close()
  }

  /** Has what was refused written down. */
  flush(): void {
    this.#refusals.flush()
  }

  /** Nothing comes any more. Waits so long for the stream of dead letters. */
  async stop(buryWithinMs: number): Promise<void> {
    this.#post.stop()
    await this.#options.dead.close(buryWithinMs)
  }

  #deliver(letter: Letter): void {
    if (letter.kind === 'reply' || letter.kind === 'error' || letter.kind === 'item' || letter.kind === 'end') {
      this.#outbound.receive(letter)
    } else {
      this.#inbound.receive(letter)
    }
  }

  #breakOff(): void {
    this.#outbound.disconnected(this.#options.self)
    this.#inbound.disconnected(this.#options.self)
  }

  #senderOfMail(carrier: Peer, wire: Uint8Array): Principal {
    const { name, roles } = carrier.certificate
    if (!roles.includes('authority'))
      throw new ClawmeshError('DENIED', `Node "${name}" may not deliver what others have sent.`)
    const { holder, ...sender } = readCertificate(wire, this.#options.rootKey)
    if (this.#options.directory.isRevoked(holder))
      throw new ClawmeshError('DENIED', `The certificate of node "${sender.name}", which sent this, was revoked.`)
    return { node: sender.name, roles: sender.roles }
  }

  /** What is not kept is said to be lost: of one or the other the trail speaks in any case. */
  #undelivered(
    from: Peer,
    { body, deadline, peer }: Letter,
    error: ClawmeshError,
    { begun, to }: { begun: boolean; to?: readonly Role[] | 'members' },
  ): void {
    const { self, dead } = this.#options
    const [actor, message, trace, content]: unknown[] = Array.isArray(body) ? body : []
    const { roles } = from.id === self.id ? peer.certificate : self.certificate
    const lost = {
      code: error.code,
      reason: error.message,
      begun,
      from: from.certificate,
      deadline,
      to: to ?? roles,
    }
    const named = { actor: String(actor), message: String(message), trace: String(trace ?? ''), content }
    const isKept = dead.keep({ ...lost, ...named })
    const reason = isKept ? error.message : `${error.message} It is lost: too many dead letters wait.`
    this.#refusals.count(error.code, reason, from.certificate.name)
  }
}
