/**
 * The second half of the receive order, again one function: decide → record → mailbox. Then the handler runs, and its answer, stream or failure
 * goes back to the caller.
 */
import { z } from 'zod'
import { decideSender } from '../policies/decide.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Context, Handler } from './actor.js'
import type { Cell } from './cell.js'
import type { Kind } from './envelope.js'
import { isStream } from './message.js'
import { errorBody, type Letter } from './post.js'
import { type Peer, principalOf } from './seal/incarnation.js'

const requestSchema = z.tuple([z.string(), z.string(), z.string(), z.unknown()]).rest(z.unknown())

/** A request that is being handled. */
interface Running {
  readonly abort: AbortController
  credit: number
  /** Wakes a stream that waits for credit. */
  more: () => void
}

export interface InboundOptions {
  cell(name: string): Cell | undefined
  send(peer: Peer, kind: Kind, call: number, deadline: number, body: unknown): void
  /** A message was refused; for a tell nobody else will say so. */
  refused(error: ClawmeshError, peer: Peer): void
  crashed(cell: Cell, error: unknown): void
  now(): number
}

export class Inbound {
  readonly #options: InboundOptions
  readonly #running = new Map<string, Running>()

  constructor(options: InboundOptions) {
    this.#options = options
  }

  receive(letter: Letter): void {
    const running = this.#running.get(keyOf(letter))
    if (letter.kind === 'cancel') running?.abort.abort(new ClawmeshError('CANCELLED', 'The caller gave up.'))
    else if (letter.kind === 'credit') this.#grant(running, letter.body)
    else this.#admit(letter)
  }

  /** The callers on that node are gone: nobody waits for what is being done for them. */
  lose(peer: Peer): void {
    for (const [key, running] of this.#running) {
      if (key.startsWith(`${peer.id}/`))
        running.abort.abort(new ClawmeshError('CANCELLED', 'The node of the caller was lost.'))
    }
  }

  /** Callers elsewhere take the same loss for their answer: what is done for them would be done for nobody. */
  disconnected(self: Peer): void {
    for (const [key, running] of this.#running) {
      if (!key.startsWith(`${self.id}/`))
        running.abort.abort(new ClawmeshError('UNREACHABLE', 'The connection to the mesh was lost during the work.'))
    }
  }

  #admit(letter: Letter): void {
    const request = requestSchema.safeParse(letter.body)
    if (!request.success) return this.#fail(letter, new ClawmeshError('MESSAGE_INVALID', 'The request cannot be read.'))
    const [target, name, trace, body, window] = request.data
    const cell = this.#options.cell(target)
    if (!cell) {
      return this.#fail(letter, moved(target))
    }
    const handler = cell.handler(name)
    const expected = letter.kind === 'open'
    if (!handler || isStream(handler.message) !== expected) {
      return this.#fail(letter, new ClawmeshError('UNKNOWN_MESSAGE', `Actor "${target}" does not answer ${name}.`))
    }
    const decision = decideSender(principalOf(letter.peer), name, handler.message.from)
    if (decision.effect === 'deny') {
      return this.#fail(letter, new ClawmeshError('DENIED', decision.reason))
    }
    const running: Running = { abort: new AbortController(), credit: Number(window) || 0, more: () => undefined }
    if (letter.kind !== 'tell') this.#running.set(keyOf(letter), running)
    const taken = cell.mailbox.offer(() => this.#handle(letter, cell, handler, body, trace, running))
    if (taken) return
    this.#running.delete(keyOf(letter))
    this.#fail(
      letter,
      new ClawmeshError('MAILBOX_FULL', `Actor "${target}" has ${cell.mailbox.depth} messages waiting.`, {
        hint: 'Send more slowly.',
      }),
    )
  }

  async #handle(
    letter: Letter,
    cell: Cell,
    handler: Handler,
    body: unknown,
    trace: string,
    running: Running,
  ): Promise<void> {
    if (cell.ended) {
      // It was still waiting: nothing was begun, so the caller may ask again where the actor is started next.
      this.#running.delete(keyOf(letter))
      return this.#fail(letter, moved(cell.name))
    }
    const stop = () => running.abort.abort(cell.signal.reason)
    cell.signal.addEventListener('abort', stop, { once: true })
    const timer = setTimeout(
      () =>
        running.abort.abort(
          new ClawmeshError('DEADLINE', `Actor "${cell.name}" did not finish ${handler.message.name} in time.`),
        ),
      Math.max(0, letter.deadline - this.#options.now()),
    )
    const context: Context = {
      sender: principalOf(letter.peer),
      deadline: letter.deadline,
      signal: running.abort.signal,
      trace,
    }
    try {
      running.abort.signal.throwIfAborted()
      const result = handler.handle(body, context)
      if (isStream(handler.message)) await this.#stream(letter, result as AsyncIterable<unknown>, running)
      else await this.#reply(letter, result, running)
    } catch (error) {
      this.#settleFailure(letter, cell, error, running)
    } finally {
      clearTimeout(timer)
      cell.signal.removeEventListener('abort', stop)
      this.#running.delete(keyOf(letter))
    }
  }

  async #reply(letter: Letter, result: unknown, running: Running): Promise<void> {
    const body = await result
    // Work that was broken off has no result, whatever it returns.
    running.abort.signal.throwIfAborted()
    this.#answer(letter, 'reply', body)
  }

  async #stream(letter: Letter, items: AsyncIterable<unknown>, running: Running): Promise<void> {
    const { signal } = running.abort
    signal.addEventListener('abort', () => running.more(), { once: true })
    // Numbered: a wire that loses or swaps items must not go unnoticed.
    let number = 0
    for await (const item of items) {
      if (running.credit === 0) await this.#credit(running)
      signal.throwIfAborted()
      running.credit -= 1
      this.#answer(letter, 'item', [number, item ?? null])
      number += 1
    }
    this.#answer(letter, 'end', [number])
  }

  #settleFailure(letter: Letter, cell: Cell, error: unknown, running: Running): void {
    if (error instanceof ClawmeshError) return this.#fail(letter, error)
    // Libraries reject with errors of their own when their signal is aborted: that is the cancellation, not a crash.
    if (running.abort.signal.aborted) return this.#fail(letter, ClawmeshError.from(running.abort.signal.reason))
    this.#options.crashed(cell, error)
    const reason = error instanceof Error ? error.message : String(error)
    this.#fail(letter, new ClawmeshError('ACTOR_CRASHED', `Actor "${cell.name}" crashed: ${reason}`, { cause: error }))
  }

  #answer(letter: Letter, kind: Kind, body: unknown): void {
    if (letter.kind !== 'tell') this.#options.send(letter.peer, kind, letter.call, letter.deadline, body ?? null)
  }

  #fail(letter: Letter, error: ClawmeshError): void {
    if (letter.kind === 'tell' || error.code === 'DENIED') this.#options.refused(error, letter.peer)
    try {
      this.#answer(letter, 'error', errorBody(error))
    } catch {
      // There is no way to the caller: its deadline tells it.
    }
  }

  #grant(running: Running | undefined, amount: unknown): void {
    if (!running || typeof amount !== 'number' || amount <= 0) return
    running.credit += amount
    running.more()
  }

  /** Resolves when the reader has asked for more, or nobody reads any more. */
  #credit(running: Running): Promise<void> {
    return new Promise((resolve) => {
      running.more = resolve
    })
  }
}

const moved = (actor: string) =>
  new ClawmeshError('ACTOR_MOVED', `Actor "${actor}" does not run on this node (any more).`)

const keyOf = ({ peer, call }: Letter) => `${peer.id}/${call}`
