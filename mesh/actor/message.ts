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
import type { Use } from '../capability/terms.js'

export interface Message<Q extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly request: Q
  readonly reply: R
  readonly from: readonly Role[] | 'members'
  readonly to: readonly Role[] | 'members'
  readonly granted: Granted | undefined
}

export interface StreamMessage<Q extends z.ZodType = z.ZodType, I extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly request: Q
  readonly item: I
  readonly from: readonly Role[] | 'members'
  readonly to: readonly Role[] | 'members'
  readonly granted: Granted | undefined
}

/** Who may send it too, under a grant of one who may send it by his own right; and what of the grant that takes. */
export interface Granted {
  readonly roles: readonly Role[]
  use(request: unknown, actor: string): Use
}

/** Which nodes may take part, by role; where nothing is said, every member of the mesh. */
interface Parties<Q extends z.ZodType> {
  /** Who may send it. The receiver sees to that. */
  from?: readonly Role[]
  /** Who may be asked. The sender sees to that: an actor of this name on any other node is an impostor. */
  to?: readonly Role[]
  /** Who needs a grant to send it. The receiver checks it; also one that is shown by somebody who needs none. */
  granted?: { roles: readonly Role[]; use: (request: z.output<Q>, actor: string) => Use }
}

export function message<Q extends z.ZodType, R extends z.ZodType>(
  name: string,
  definition: { request: Q; reply: R } & Parties<Q>,
): Message<Q, R>
export function message<Q extends z.ZodType, I extends z.ZodType>(
  name: string,
  definition: { request: Q; item: I } & Parties<Q>,
): StreamMessage<Q, I>
export function message(
  name: string,
  definition: { request: z.ZodType; reply?: z.ZodType; item?: z.ZodType } & Parties<z.ZodType>,
): Message | StreamMessage {
  const { request, reply, item, from = 'members', to = 'members', granted } = definition
  if (item) return { name, request, item, from, to, granted }
  if (reply) return { name, request, reply, from, to, granted }
  throw new TypeError(`message "${name}" needs a reply or an item`)
}

/** The reply of a message that is only acknowledged. */
export const nothing = z.null()

export const isStream = (definition: Message | StreamMessage): definition is StreamMessage => 'item' in definition
