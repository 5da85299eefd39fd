/**
 * A message is said once: its name, what is asked, what is answered, and which roles may send it.
 *
 *     const Greet = message('greet', { request: z.string(), reply: z.string() })
 *     const Tokens = message('tokens', { request: Prompt, item: z.string() })      // answered by a stream
 *
 * Types, validation on both sides and the access decision follow from this one value.
 */
import { z } from 'zod'
import type { Role } from '../../policies/roles.js'

export interface Message<Q extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly request: Q
  readonly reply: R
  readonly from: readonly Role[] | 'members'
  readonly to: readonly Role[] | 'members'
}

export interface StreamMessage<Q extends z.ZodType = z.ZodType, I extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly request: Q
  readonly item: I
  readonly from: readonly Role[] | 'members'
  readonly to: readonly Role[] | 'members'
}

/** Which nodes may take part, by role; where nothing is said, every member of the mesh. */
interface Parties {
  /** Who may send it. The receiver sees to that. */
  from?: readonly Role[]
  /** Who may be asked. The sender sees to that: an actor of this name on any other node is an impostor. */
  to?: readonly Role[]
}

export function message<Q extends z.ZodType, R extends z.ZodType>(
  name: string,
  definition: { request: Q; reply: R } & Parties,
): Message<Q, R>
export function message<Q extends z.ZodType, I extends z.ZodType>(
  name: string,
  definition: { request: Q; item: I } & Parties,
): StreamMessage<Q, I>
export function message(
  name: string,
  definition: { request: z.ZodType; reply?: z.ZodType; item?: z.ZodType } & Parties,
): Message | StreamMessage {
  const { request, reply, item, from = 'members', to = 'members' } = definition
  if (item) return { name, request, item, from, to }
  if (reply) return { name, request, reply, from, to }
  throw new TypeError(`message "${name}" needs a reply or an item`)
}

/** The reply of a message that is only acknowledged. */
export const nothing = z.null()

export const isStream = (definition: Message | StreamMessage): definition is StreamMessage => 'item' in definition
