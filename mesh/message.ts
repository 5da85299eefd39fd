/**
 * A message is said once: its name, what is asked, what is answered, and which roles may send it.
 *
 *     const Greet = message('greet', { request: z.string(), reply: z.string() })
 *     const Tokens = message('tokens', { request: Prompt, item: z.string() })      // answered by a stream
 *
 * Types, validation on both sides and the access decision follow from this one value.
 */
import { z } from 'zod'
import type { Role } from '../policies/roles.js'

export interface Message<Q extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly request: Q
  readonly reply: R
  readonly from: readonly Role[] | 'members'
}

export interface StreamMessage<Q extends z.ZodType = z.ZodType, I extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly request: Q
  readonly item: I
  readonly from: readonly Role[] | 'members'
}

/** Who may send it: nodes that hold one of these roles, or, where nothing is said, every member of the mesh. */
interface Senders {
  from?: readonly Role[]
}

export function message<Q extends z.ZodType, R extends z.ZodType>(
  name: string,
  definition: { request: Q; reply: R } & Senders,
): Message<Q, R>
export function message<Q extends z.ZodType, I extends z.ZodType>(
  name: string,
  definition: { request: Q; item: I } & Senders,
): StreamMessage<Q, I>
export function message(
  name: string,
  definition: { request: z.ZodType; reply?: z.ZodType; item?: z.ZodType } & Senders,
): Message | StreamMessage {
  const { request, reply, item, from = 'members' } = definition
  if (item) return { name, request, item, from }
  if (reply) return { name, request, reply, from }
  throw new TypeError(`message "${name}" needs a reply or an item`)
}

/** The reply of a message that is only acknowledged. */
export const nothing = z.null()

export const isStream = (definition: Message | StreamMessage): definition is StreamMessage => 'item' in definition
