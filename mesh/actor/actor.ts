/**
 * Actors, as in Elixir: a definition names a factory, the factory answers messages, and a restart runs the factory again.
 *
 *     const counter = actor('counter', () => {
 *       let count = 0
 *       return [on(Increment, (by) => (count += by))]
 *     })
 *     const ref = await mesh.spawn(counter)
 *     await ref.ask(Increment, 2)     // 2
 *
 * A handler that throws a ClawmeshError has answered: the caller gets that error and the actor lives on. Anything else that it throws is a
 * crash: the caller gets ACTOR_CRASHED, and whoever supervises the actor starts it afresh.
 */
import { z } from 'zod'
import type { Principal } from '../../policies/decide.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Grant } from '../capability/grant.js'
import type { Wanted } from '../capability/terms.js'
import type { Message, StreamMessage } from './message.js'
import type { ActorRef } from './ref.js'

/** How long a call may take and whose work it is. A handler passes its own context on: deadline and cancellation travel with the call. */
export interface CallOptions {
  /** From now; 10 s unless said otherwise. */
  timeoutMs?: number
  /** Milliseconds since 1970; the earlier of the two holds. */
  deadline?: number
  signal?: AbortSignal
  /** The task that this is done for; it goes into audit events. */
  trace?: string
  /** Under which it is done: shown where a message needs one, and passed on by `entrust`. A handler's context has the one that came with the message. */
  grant?: Grant | undefined
  /** What the one who is asked may do for this call and until its deadline: a part of `grant` or, without one, of what this node may do itself. */
  entrust?: Wanted | undefined
}

export interface MailOptions {
  /** Names the message among all that this node sends to that actor: sent again, after a crash, it is the same message. By chance if left out. */
  key?: string
  /** How long it may wait to be taken before it is a dead letter: 24 hours unless told, 30 days at most. */
  keepMs?: number
  /** For how long to try to have it kept; 10 s unless told. */
  timeoutMs?: number
  signal?: AbortSignal
  trace?: string
}

/** What a handler knows of the message at hand. Passed on as it is, or by its parts: a spread copy has not all of them, since some are made when they are first looked at. */
export interface Context {
  readonly sender: Principal
  readonly deadline: number
  /** Aborted when the caller gives up, the deadline passes or the actor is stopped. */
  readonly signal: AbortSignal
  readonly trace: string
  /** What the sender let this actor do for it, or showed to be let in. */
  readonly grant: Grant | undefined
  /** Of a message that was mailed: its id, the same each time it comes. A handler that notes it with its effect has the effect once. */
  readonly mailed: string | undefined
  /** What the work has cost under a grant that limits it, in tokens; what nobody bills has cost what was set aside. */
  bill(tokens: number): void
}

/** What an actor knows of itself. */
export interface Self {
  readonly name: string
  readonly ref: ActorRef
  /** Aborted when the actor stops or crashes. */
  readonly signal: AbortSignal
  /** Ends the actor as a bug in a handler would: whoever supervises it starts it afresh. */
  crash(error: Error): void
}

export interface Handler {
  readonly message: Message | StreamMessage
  /** Takes the raw request; parses it first. */
  readonly handle: (request: unknown, context: Context) => unknown
}

export function on<Q extends z.ZodType, R extends z.ZodType>(
  definition: Message<Q, R>,
  handle: (request: z.output<Q>, context: Context) => z.input<R> | Promise<z.input<R>>,
): Handler
export function on<Q extends z.ZodType, I extends z.ZodType>(
  definition: StreamMessage<Q, I>,
  handle: (request: z.output<Q>, context: Context) => AsyncIterable<z.input<I>>,
): Handler
export function on<Q extends z.ZodType>(
  definition: Message<Q> | StreamMessage<Q>,
  handle: (request: z.output<Q>, context: Context) => unknown,
): Handler {
  return {
    message: definition,
    handle: (request, context) =>
      handle(parse(definition.request, request, `the request of ${definition.name}`), context),
  }
}

export interface ActorDefinition<A = unknown> {
  readonly name: string
  readonly args: z.ZodType<A>
  start(self: Self, args: A): Handler[] | Promise<Handler[]>
  /** How many messages may wait; the next sender is told MAILBOX_FULL. */
  readonly mailbox: number
  /** How many messages are handled at once; 1 unless the actor says that it can do more. */
  readonly concurrency: number
}

export function actor(name: string, start: (self: Self) => Handler[] | Promise<Handler[]>): ActorDefinition<undefined>
export function actor<A>(
  name: string,
  start: (self: Self, args: A) => Handler[] | Promise<Handler[]>,
  options: { args: z.ZodType<A>; mailbox?: number; concurrency?: number },
): ActorDefinition<A>
export function actor(
  name: string,
  start: (self: Self, args: never) => Handler[] | Promise<Handler[]>,
  options: { args?: z.ZodType; mailbox?: number; concurrency?: number } = {},
): ActorDefinition<never> {
  const { args = z.undefined(), mailbox = 1024, concurrency = 1 } = options
  return { name, args: args as z.ZodType<never>, start, mailbox, concurrency }
}

/** Reads what came from elsewhere through its schema, or says what is wrong with it. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue?.path.length ? ` at ${issue.path.join('.')}` : ''
  throw new ClawmeshError('MESSAGE_INVALID', `${what} is not valid${where}: ${issue?.message ?? 'unknown reason'}`)
}
