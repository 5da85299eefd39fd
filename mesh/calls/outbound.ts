/** Calls that this node's actors make: one number and one map entry a call, whatever comes back. */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { decideReceiver } from '../../policies/decide.js'
import { ClawmeshError, type ErrorCode, errorCodes } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { type CallOptions, type MailOptions, parse } from '../actor/actor.js'
import { type Message, message, type StreamMessage } from '../actor/message.js'
import type { Caller } from '../actor/ref.js'
import type { Filings } from '../audit/filing.js'
import type { Grants } from '../capability/grants.js'
import type { Mail } from '../mail/mail.js'
import { KeepMail, officeName } from '../mail/messages.js'
import type { Kind, Letter } from '../post/letter.js'
import { type Peer, principalOf } from '../seal/incarnation.js'
import { Arrivals } from './arrivals.js'
import { type Books, Call, cancelled, type Sink } from './call.js'
import type { Deadlines } from './deadlines.js'

export const defaultTimeoutMs = 10_000

/** How many stream items may be on their way unread. */
export const creditWindow = 64

/** How long a call waits for an actor that is nowhere to be found: long enough for a restart on another node. */
const appearanceMs = 6000

const lookAgainMs = 50

/** How long mail may wait to be taken. */
const keptMs = 24 * 3_600_000
const mailAgainMs = 200

export interface OutboundOptions {
  /** Where an actor runs, as far as is known now. */
  find(target: string): Peer | undefined
  /** The same, after waiting for it to appear. */
  await(target: string, withinMs: number, signal: AbortSignal | undefined): Promise<Peer | undefined>
  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void
  /** A node answers a call that was made to another one. */
  notAsked(peer: Peer): void
  /** Of the span that a call is made in, if spans are taken. */
  span(): string | undefined
  grants: Grants
  filings: Filings
  deadlines: Deadlines
  now(): number
}

const errorSchema = z.tuple([
  z.string(),
  z.string(),
  z.string(),
  z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
])

export class Outbound implements Caller {
  readonly #options: OutboundOptions
  readonly #calls = new Map<number, Call>()
  readonly #books: Books = {
    ended: (call) => {
      this.#options.deadlines.remove(call)
      this.#calls.delete(call.number)
    },
    cancel: ({ peer, number, deadline }) => this.#cancel(peer, number, deadline),
  }
  #number = 0
  #closed = false

  constructor(options: OutboundOptions) {
    this.#options = options
  }

  async ask(target: string, message: Message, request: unknown, options: CallOptions): Promise<unknown> {
    const deadline = this.#deadline(options)
    const body = await this.#whereverItIs(target, message, deadline, options.signal, (peer) => {
      const wire = this.#body(peer, target, message, request, deadline, options)
      return new Promise<unknown>((resolve, reject) => {
        this.#open(peer, 'ask', wire, deadline, options.signal, {
          receive: (kind, answer) => {
            if (kind === 'reply') resolve(answer)
          },
          fail: reject,
        })
      })
    })
    return parse(message.reply, body, `the reply to ${message.name}`)
  }

  async tell(target: string, message: Message, request: unknown, options: CallOptions): Promise<void> {
    const deadline = this.#deadline(options)
    const peer = await this.#locate(target, message, deadline, options.signal)
    this.#options.send(peer, 'tell', 0, deadline, this.#body(peer, target, message, request, deadline, options))
  }

  async mail(target: string, message: Message, request: unknown, options: MailOptions): Promise<void> {
    const { key = randomUUID(), keepMs = keptMs, timeoutMs = defaultTimeoutMs, trace = '', signal } = options
    const about = this.#options.filings.of(trace)?.wire
    const { name, to } = message
    const mail = { actor: target, message: name, content: request, key, keepMs, to, ...(about ? { about } : {}) }
    // Under one key it is one message, however often it is sent: it may be kept though nobody says so.
    for (const deadline = this.#deadline({ timeoutMs }); ; ) {
      try {
        await this.ask(officeName, KeepMail, mail, { deadline, trace, ...(signal ? { signal } : {}) })
        return
      } catch (error) {
        const failure = ClawmeshError.from(error)
        // The office says that too much waits; its node, that a piece was lost on the way.
        const isFull = failure.code === 'MAILBOX_FULL' && failure.data['untaken'] !== true
        const isLost = failure.retry && !isFull && failure.code !== 'DISK_FULL'
        if (!isLost || this.#options.now() + mailAgainMs > deadline) throw failure
        await setTimeout(mailAgainMs)
      }
    }
  }

  /** Hands over what was kept; `read` says what it says, once it is known who gets it. Resolves when its handler has answered; rejects as `ask` does, or as `read`. */
  async deliver(mail: Mail, read: () => Promise<unknown>, options: CallOptions): Promise<void> {
    const { actor, message: name, to, trace, from, id, about } = mail
    const deadline = this.#deadline(options)
    const definition = message(name, { request: z.unknown(), reply: z.unknown(), ...(to === 'members' ? {} : { to }) })
    await this.#whereverItIs(actor, definition, deadline, options.signal, async (peer) => {
      const wire = [actor, name, trace, await read(), null, null, null, about ?? null, [from, id]]
      // To read it may have taken a while.
      if (options.signal?.aborted) throw cancelled(options.signal)
      if (this.#options.find(actor)?.id !== peer.id)
        throw new ClawmeshError('ACTOR_MOVED', `Actor "${actor}" does not run where it did.`)
      return new Promise<void>((resolve, reject) => {
        this.#open(peer, 'ask', wire, deadline, options.signal, { receive: () => resolve(), fail: reject })
      })
    })
  }

  async *stream(
    target: string,
    message: StreamMessage,
    request: unknown,
    options: CallOptions,
  ): AsyncIterable<unknown> {
    const deadline = this.#deadline(options)
    const stream = await this.#whereverItIs(target, message, deadline, options.signal, async (peer) => {
      const arrivals = new Arrivals()
      const body = this.#body(peer, target, message, request, deadline, options, creditWindow)
      const call = this.#open(peer, 'open', body, deadline, options.signal, arrivals)
      await arrivals.first
      return { peer, call, arrivals }
    })
    const { peer, call, arrivals } = stream
    let read = 0
    try {
      for await (const item of arrivals) {
        yield parse(message.item, item, `an item of ${message.name}`)
        read += 1
        if (read % (creditWindow / 2) === 0) this.#options.send(peer, 'credit', call.number, deadline, creditWindow / 2)
      }
    } finally {
      call.cancel()
    }
  }

  /** An answer arrived. It counts only from the node that was asked; one that came too late is nobody's fault. */
  receive({ peer, kind, call: number, body }: Letter): void {
    const call = this.#calls.get(number)
    if (!call) return
    if (call.peer.id !== peer.id) return this.#options.notAsked(peer)
    if (kind === 'error') call.fail(errorOf(body))
    else call.receive(kind, body)
  }

  /** Nothing more will come from this node, or what was sent to it may never have reached it. */
  lose(peer: Peer): void {
    for (const call of this.#calls.values()) {
      if (call.peer.id === peer.id) {
        call.fail(
          new ClawmeshError(
            'UNREACHABLE',
            `Node "${peer.certificate.name}" was lost, or cut off, before it answered.`,
            {
              hint: 'Whether the work was done is not known. Ask again if doing it twice does no harm.',
            },
          ),
        )
      }
    }
  }

  /** What was on its way when the connection broke may or may not have arrived; nobody else will say. */
  disconnected(self: Peer): void {
    for (const call of this.#calls.values()) {
      if (call.peer.id === self.id) continue
      this.#cancel(call.peer, call.number, this.#options.now() + defaultTimeoutMs)
      call.fail(
        new ClawmeshError('UNREACHABLE', 'The connection to the mesh was lost before the answer came.', {
          hint: 'Whether the work was done is not known. Ask again if doing it twice does no harm.',
        }),
      )
    }
  }

  close(): void {
    this.#closed = true
    for (const call of this.#calls.values()) call.fail(new ClawmeshError('CANCELLED', 'This node is leaving the mesh.'))
  }

  /**
   * A grant is shown to whoever needs to see one, or made for the one who is asked: it names the node. Last comes the key of the person whom the task is about, if
   * it is filed.
   */
  #body(
    peer: Peer,
    actor: string,
    message: Message | StreamMessage,
    request: unknown,
    deadline: number,
    { trace = '', grant: parent, entrust: wanted }: CallOptions,
    window?: number,
  ): unknown[] {
    const body = [actor, message.name, trace, request]
    const { grants, filings } = this.#options
    const span = this.#options.span()
    const about = filings.of(trace)?.wire
    const given = wanted && !message.granted ? grants.give({ peer, actor, wanted, parent, deadline }) : undefined
    const shown = message.granted ? parent?.wire : given
    if (about) return [...body, window ?? null, shown ?? null, span ?? null, about]
    if (span) return [...body, window ?? null, shown ?? null, span]
    if (shown) return [...body, window ?? null, shown]
    return window === undefined ? body : [...body, window]
  }

  /** Registers a call and sends it. */
  #open(
    peer: Peer,
    kind: 'ask' | 'open',
    body: unknown[],
    deadline: number,
    signal: AbortSignal | undefined,
    sink: Sink,
  ): Call {
    const { deadlines, now, send } = this.#options
    this.#number = (this.#number % 0xffff_ffff) + 1
    const call = new Call(peer, this.#number, deadline, String(body[1]), signal, sink, this.#books)
    this.#calls.set(call.number, call)
    deadlines.add(call, deadline - now())
    try {
      send(peer, kind, call.number, deadline, body)
    } catch (error) {
      call.fail(ClawmeshError.from(error))
    }
    return call
  }

  #cancel(peer: Peer, number: number, deadline: number): void {
    try {
      this.#options.send(peer, 'cancel', number, deadline, null)
    } catch {
      // Too much waits for the broker: the deadline ends the work instead.
    }
  }

  #deadline({ deadline, timeoutMs }: CallOptions): number {
    const now = this.#options.now()
    if (timeoutMs === undefined) return deadline ?? now + defaultTimeoutMs
    return Math.min(deadline ?? Number.POSITIVE_INFINITY, now + timeoutMs)
  }

  /**
   * Calls an actor where the directory says it is. If it has just gone from there, the call was not begun, so it may be made again at its new place.
   */
  async #whereverItIs<T>(
    target: string,
    message: Message | StreamMessage,
    deadline: number,
    signal: AbortSignal | undefined,
    call: (peer: Peer) => Promise<T>,
  ): Promise<T> {
    const until = Math.min(deadline, this.#options.now() + appearanceMs)
    for (;;) {
      try {
        return await call(await this.#locate(target, message, deadline, signal))
      } catch (error) {
        const hasMoved = error instanceof ClawmeshError && error.code === 'ACTOR_MOVED'
        if (!hasMoved) throw error
        if (this.#options.now() + lookAgainMs > until) throw unreachable(target)
        await setTimeout(lookAgainMs)
      }
    }
  }

  async #locate(
    target: string,
    message: Message | StreamMessage,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Peer> {
    if (this.#closed)
      throw new ClawmeshError('CANCELLED', 'This node has left the mesh: nobody can be asked from here.')
    if (signal?.aborted) throw cancelled(signal)
    const left = deadline - this.#options.now()
    if (left <= 0) throw new ClawmeshError('DEADLINE', `There was no time left to call "${target}".`)
    const wait = () => this.#options.await(target, Math.min(left, appearanceMs), signal)
    const peer = this.#options.find(target) ?? (await wait())
    if (signal?.aborted) throw cancelled(signal)
    if (!peer) throw unreachable(target)
    const principal = principalOf(peer)
    const decision = decideReceiver(principal, message.name, message.to)
    if (decision.effect === 'deny')
      throw new ClawmeshError('DENIED', decision.reason, { hint: howToAnswer(principal.roles, message.to) })
    return peer
  }
}

/** A node keeps its roles for as long as it has its key. That of the authority is given to nobody. */
function howToAnswer(roles: readonly Role[], to: Message['to']): string {
  const given = [to === 'members' ? [] : to.slice(0, 1), roles].flat().filter((role) => role !== 'authority')
  return to === 'members' || given[0] !== to[0]
    ? 'The node of the authority alone answers it.'
    : `It has to join with that role too, by a new invitation: where the mesh runs, clawmesh invite --roles ${given.join(',')}.`
}

function unreachable(target: string): ClawmeshError {
  return new ClawmeshError('UNREACHABLE', `No node in the mesh runs an actor named "${target}".`, {
    hint: 'If its node was lost, its supervisor starts it elsewhere; try again in a moment.',
    data: { nowhere: true },
  })
}

function errorOf(body: unknown): ClawmeshError {
  const parsed = errorSchema.safeParse(body)
  if (!parsed.success) return new ClawmeshError('INTERNAL', 'A node answered with an error that cannot be read.')
  const [code, message, hint, data] = parsed.data
  return new ClawmeshError(isErrorCode(code) ? code : 'INTERNAL', message, { hint, data })
}

const isErrorCode = (code: string): code is ErrorCode => code in errorCodes
