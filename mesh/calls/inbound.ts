/**
 * The second half of the receive order, again one function: decide → record → mailbox. Then the handler runs, and its answer, stream or failure
 * goes back to the caller.
 */
import { z } from 'zod'
import { decideSender, type Principal } from '../../policies/decide.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { parse } from '../actor/actor.js'
import type { Cell } from '../actor/cell.js'
import { isStream } from '../actor/message.js'
import type { Filings } from '../audit/filing.js'
import type { Grants } from '../capability/grants.js'
import { binary } from '../codec.js'
import type { Kind, Letter } from '../post/letter.js'
import { errorBody } from '../post/post.js'
import { type Peer, principalOf } from '../seal/incarnation.js'
import type { Deadlines } from './deadlines.js'
import { Request } from './request.js'
import type { Spans } from './spans.js'

export interface InboundOptions {
  cell(name: string): Cell | undefined
  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void
  /** A message was refused. */
  refused(error: ClawmeshError, peer: Peer): void
  /** A message that nobody waits for was not handled, or not to the end. */
  undelivered(letter: Letter, error: ClawmeshError, known: { begun: boolean; to?: readonly Role[] | 'members' }): void
  crashed(cell: Cell, error: unknown): void
  /** Who sent what is delivered by another node. Throws where that one may not deliver anything, or the sender may not send any more. */
  senderOfMail(carrier: Peer, certificate: Uint8Array): Principal
  grants: Grants
  filings: Filings
  deadlines: Deadlines
  /** Undefined: nobody takes any. */
  spans: Spans | undefined
  now(): number
}

export class Inbound {
  readonly #options: InboundOptions
  /** Requests at work or waiting, by the id of the caller's run and the number of the call. */
  readonly #requests = new Map<string, Map<number, Request>>()

  constructor(options: InboundOptions) {
    this.#options = options
  }

  receive(letter: Letter): void {
    const { peer, kind, call, body } = letter
    if (kind !== 'cancel' && kind !== 'credit') return this.#admit(letter)
    const request = this.#requests.get(peer.id)?.get(call)
    if (kind === 'credit') request?.addCredit(body)
    // Of a call whose time is over, its caller says no other thing than its deadline does, and may say it first.
    else if (request && request.deadline <= this.#options.now()) request.expire()
    else request?.breakOff(new ClawmeshError('CANCELLED', 'The caller gave up.'))
  }

  /** The callers on that node are gone, and nobody waits for what is being done for them. One that only seemed to be hears what it would say of us. */
  lose(peer: Peer): void {
    const reason = new ClawmeshError('UNREACHABLE', 'The node of the caller was lost, or seemed to be.')
    for (const request of this.#requests.get(peer.id)?.values() ?? []) request.breakOff(reason)
  }

  /** Callers elsewhere take the same loss for their answer: what is done for them would be done for nobody. */
  disconnected(self: Peer): void {
    const reason = new ClawmeshError('UNREACHABLE', 'The connection to the mesh was lost during the work.')
    for (const [caller, requests] of this.#requests)
      if (caller !== self.id) for (const request of requests.values()) request.breakOff(reason)
  }

  #admit(letter: Letter): void {
    const { body } = letter
    if (!isRequest(body)) return this.#fail(letter, new ClawmeshError('MESSAGE_INVALID', 'The request cannot be read.'))
    const [target, name, trace, content, window, shown, wire, about, mailed] = body
    const cell = this.#options.cell(target)
    if (!cell) {
      return this.#fail(letter, moved(target))
    }
    const handler = cell.handler(name)
    const expected = letter.kind === 'open'
    if (!handler || isStream(handler.message) !== expected) {
      return this.#fail(letter, new ClawmeshError('UNKNOWN_MESSAGE', `Actor "${target}" does not answer ${name}.`))
    }
    let sender = principalOf(letter.peer)
    let id: string | undefined
    if (mailed !== undefined) {
      try {
        const [certificate, named] = parse(mailedSchema, mailed, 'what says who sent it')
        sender = this.#options.senderOfMail(letter.peer, certificate)
        id = named
      } catch (error) {
        return this.#fail(letter, ClawmeshError.from(error), 'refused')
      }
    }
    const { from, granted } = handler.message
    const hasGrant = shown !== undefined && shown !== null
    const decision = decideSender(sender, name, from, { granted: granted?.roles, hasGrant })
    if (decision.effect === 'deny') {
      return this.#fail(letter, new ClawmeshError('DENIED', decision.reason))
    }
    const request = new Request(letter, cell, handler, sender, trace, content, Number(window) || 0)
    request.mailed = id
    request.cameInTime = letter.deadline > this.#options.now()
    const isFiled = about !== undefined && about !== null
    if (isFiled || hasGrant) {
      try {
        // First: the use of a grant is recorded of the task, too.
        if (isFiled) this.#options.filings.learn(trace, readKey(about))
        if (hasGrant) this.#checkGrant(request, shown)
      } catch (error) {
        return this.#fail(letter, this.#whatEnded(letter, ClawmeshError.from(error)), 'refused')
      }
    }
    if (letter.kind !== 'tell') this.#register(request)
    if (cell.mailbox.offer(this.#spanned(request, wire))) return
    request.taken?.giveBack()
    const full = new ClawmeshError('MAILBOX_FULL', `Actor "${target}" has ${cell.mailbox.depth} messages waiting.`, {
      hint: 'Send more slowly.',
    })
    this.#fail(letter, full, request)
    this.#forget(request)
  }

  /** The work on it, as a part of the span of whoever asked, where spans are taken. */
  #spanned(request: Request, wire: unknown): () => void | Promise<void> {
    const { spans } = this.#options
    const handle = () => this.#handle(request)
    if (!spans) return handle
    const { cell, handler, letter, trace } = request
    const from = letter.peer.certificate.name
    const span = spans.begin({ kind: 'server', name: handler.message.name, actor: cell.name, from, task: trace, wire })
    request.span = span
    return () => spans.within(span, handle)
  }

  /** A grant ends with the call for which it was given: what comes after both is late, as it would be without one. */
  #whatEnded({ deadline }: Letter, refusal: ClawmeshError): ClawmeshError {
    const isLate = refusal.data['ended'] === true && deadline <= this.#options.now()
    return isLate ? new ClawmeshError('DEADLINE', refusal.message) : refusal
  }

  /** Where the message needs a grant the sender shows its own; with any other it gives one to the actor. */
  #checkGrant(request: Request, shown: unknown): void {
    const { grants } = this.#options
    const { letter, cell, handler, content, trace } = request
    const { name: message, from, granted, request: schema } = handler.message
    const { peer } = letter
    if (!granted) {
      request.grant = grants.accept(shown, peer)
      return
    }
    const grant = grants.read(shown)
    const use = granted.use(parse(schema, content, `the request of ${message}`), cell.name)
    request.taken = grants.use({ grant, peer, use, message, actor: cell.name, from, trace })
    request.grant = grant
  }

  /** Answers at once where the handler does; a promise only where there is something to wait for. */
  #handle(request: Request): void | Promise<void> {
    const { letter, cell, handler } = request
    if (cell.ended) {
      // It was still waiting: nothing was begun, so the caller may ask again where the actor is started next.
      request.taken?.giveBack()
      this.#fail(letter, moved(cell.name), request)
      return this.#forget(request)
    }
    cell.work.add(request)
    const left = letter.deadline - this.#options.now()
    // Its time passed while it waited here: it is not begun. One that came late by our clock is: whose clock is right is not known.
    if (left <= 0 && request.cameInTime) request.expire()
    this.#options.deadlines.add(request, left)
    try {
      request.throwIfBroken()
      request.begun = true
      const result = handler.handle(request.content, request)
      if (isStream(handler.message))
        return this.#settle(request, this.#stream(request, result as AsyncIterable<unknown>))
      if (result instanceof Promise)
        return this.#settle(
          request,
          result.then((body) => this.#reply(request, body)),
        )
      this.#reply(request, result)
    } catch (error) {
      this.#settleFailure(request, error)
    }
    this.#finish(request)
  }

  async #settle(request: Request, work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.#settleFailure(request, error)
    } finally {
      this.#finish(request)
    }
  }

  #finish(request: Request): void {
    this.#options.deadlines.remove(request)
    request.cell.work.delete(request)
    this.#forget(request)
  }

  #register(request: Request): void {
    const { peer, call } = request.letter
    const requests = this.#requests.get(peer.id)
    if (requests) requests.set(call, request)
    else this.#requests.set(peer.id, new Map([[call, request]]))
  }

  #forget({ span, letter: { peer, call } }: Request): void {
    span?.end()
    const requests = this.#requests.get(peer.id)
    requests?.delete(call)
    if (requests?.size === 0) this.#requests.delete(peer.id)
  }

  #reply(request: Request, body: unknown): void {
    // Work that was broken off has no result, whatever it returns.
    request.throwIfBroken()
    this.#answer(request.letter, 'reply', body)
  }

  async #stream(request: Request, items: AsyncIterable<unknown>): Promise<void> {
    // Numbered: a wire that loses or swaps items must not go unnoticed.
    let number = 0
    for await (const item of items) {
      await request.useCredit()
      this.#answer(request.letter, 'item', [number, item ?? null])
      number += 1
    }
    this.#answer(request.letter, 'end', [number])
  }

  #settleFailure(request: Request, error: unknown): void {
    const { letter, cell, broken } = request
    // Handlers and libraries reject in words of their own when their signal is aborted. Why it was is for the caller to know: one that was cut off may ask again.
    const isOnlyCut = !(error instanceof ClawmeshError) || error.code === 'CANCELLED'
    if (broken && isOnlyCut) return this.#fail(letter, broken, request)
    if (error instanceof ClawmeshError) return this.#fail(letter, error, request)
    this.#options.crashed(cell, error)
    const reason = error instanceof Error ? error.message : String(error)
    const crash = new ClawmeshError('ACTOR_CRASHED', `Actor "${cell.name}" crashed: ${reason}`, { cause: error })
    this.#fail(letter, crash, request)
  }

  #answer(letter: Letter, kind: Kind, body: unknown): void {
    if (letter.kind !== 'tell') this.#options.send(letter.peer, kind, letter.call, letter.deadline, body ?? null)
  }

  /** `request`: where it got so far; 'refused': it was not let in. */
  #fail(letter: Letter, error: ClawmeshError, request?: Request | 'refused'): void {
    if (request instanceof Request && request.span) request.span.error = error.code
    const isRefusal = request === 'refused' || error.code === 'DENIED'
    if (isRefusal) this.#options.refused(error, letter.peer)
    else if (letter.kind === 'tell') this.#options.undelivered(letter, error, fateOf(request))
    try {
      this.#answer(letter, 'error', errorBody(error))
    } catch {
      // There is no way to the caller: its deadline tells it.
    }
  }
}

/**
 * `[actor, message, trace, content]`, for a stream how many items may be sent unasked, a grant where one is shown or given, the span of the caller where
 * spans are taken, the key of the person whom the task is about where it is filed under one, and of mail the certificate of its sender and its id.
 */
type RequestBody = [string, string, string, unknown, unknown?, unknown?, unknown?, unknown?, unknown?]

const mailedSchema = z.tuple([binary, z.string()])

function readKey(about: unknown): Uint8Array {
  if (about instanceof Uint8Array) return about
  throw new ClawmeshError('MESSAGE_INVALID', 'The request cannot be read.')
}

function isRequest(body: unknown): body is RequestBody {
  if (!Array.isArray(body) || body.length < 4) return false
  const [target, name, trace]: unknown[] = body
  return typeof target === 'string' && typeof name === 'string' && typeof trace === 'string'
}

const fateOf = (request: Request | undefined) =>
  request ? { begun: request.begun, to: request.handler.message.to } : { begun: false }

const moved = (actor: string) =>
  new ClawmeshError('ACTOR_MOVED', `Actor "${actor}" does not run on this node (any more).`)
