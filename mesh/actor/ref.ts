/** The address of an actor: a name, wherever in the mesh it runs now. Cheap to make, safe to keep across restarts. */
import type { z } from 'zod'
import type { CallOptions, MailOptions } from './actor.js'
import type { Message, StreamMessage } from './message.js'

/** What a ref needs of the node that it lives on. */
export interface Caller {
  ask(target: string, message: Message, request: unknown, options: CallOptions): Promise<unknown>
  tell(target: string, message: Message, request: unknown, options: CallOptions): Promise<void>
  mail(target: string, message: Message, request: unknown, options: MailOptions): Promise<void>
  stream(target: string, message: StreamMessage, request: unknown, options: CallOptions): AsyncIterable<unknown>
}

export class ActorRef {
  readonly name: string
  readonly #caller: Caller

  constructor(name: string, caller: Caller) {
    this.name = name
    this.#caller = caller
  }

  /** Sends and waits for the answer. Rejects with the actor's error, DEADLINE, UNREACHABLE, MAILBOX_FULL, DENIED or ACTOR_CRASHED. */
  ask<Q extends z.ZodType, R extends z.ZodType>(
    message: Message<Q, R>,
    request: z.input<Q>,
    options: CallOptions = {},
  ): Promise<z.output<R>> {
    return this.#caller.ask(this.name, message, request, options) as Promise<z.output<R>>
  }

  /** Sends and does not wait for an answer. Resolves when it is on its way; it may still be lost with the node that it went to. */
  tell<Q extends z.ZodType>(message: Message<Q>, request: z.input<Q>, options: CallOptions = {}): Promise<void> {
    return this.#caller.tell(this.name, message, request, options)
  }

  /**
   * Sends what is kept until the actor has taken it, whoever dies meanwhile: at least once, in the order of its sender, and never later than its time. Resolves when the broker has it; what came of it nobody says,
   * unless it is a dead letter. Rejects with MAILBOX_FULL, MESSAGE_INVALID (8 MiB are taken), UNREACHABLE where nobody keeps mail now; then whether it is kept is not known, and it may be sent again under its key.
   */
  mail<Q extends z.ZodType>(message: Message<Q>, request: z.input<Q>, options: MailOptions = {}): Promise<void> {
    return this.#caller.mail(this.name, message, request, options)
  }

  /** Sends and reads a stream of items. Leaving the loop early cancels the work; a slow reader slows the writer. */
  stream<Q extends z.ZodType, I extends z.ZodType>(
    message: StreamMessage<Q, I>,
    request: z.input<Q>,
    options: CallOptions = {},
  ): AsyncIterable<z.output<I>> {
    return this.#caller.stream(this.name, message, request, options) as AsyncIterable<z.output<I>>
  }
}
