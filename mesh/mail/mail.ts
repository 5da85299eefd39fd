/**
 * A message that is kept until the actor that it is for has taken it. It stands on the broker's disk, sealed once with a key that only the authority's machine has: no member can read what waits,
 * neither one that has left nor one that is there. Whoever takes it gets it under the session with its node, like any other message.
 *
 *     ['waiting', from, actor, message, trace, content, deadline, to, about, id, what]
 *     ['waiting', …, what, body]               its content is too large for that, and stands beside it in pieces (../body.ts)
 *     ['taken', id, what, until]               the same message again is not delivered again until then
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { type Role, roles } from '../../policies/roles.js'
import { type Allowance, type Body, bodySchema, pieceBytes } from '../body.js'
import { binary, decode, encode, time } from '../codec.js'
import { openWith, sealWith } from '../seal/box.js'
import { digest, hex, utf8 } from '../seal/keys.js'

/** Of what it says, in bytes of msgpack. */
export const mailAllowance: Allowance = {
  what: 'The message',
  inRecord: pieceBytes,
  most: 8 * 1024 * 1024,
  instead: 'Write it to a file and send where that is.',
}
export const mailLimits = {
  /** Of one sender for one actor. */
  perActor: 1000,
  /** Of one sender. */
  perSender: { messages: 4096, bytes: 16 * 1024 * 1024 },
  /** In all; what is kept of those that were taken counts as a message. */
  messages: 16_384,
  bytes: 64 * 1024 * 1024,
} as const

const name = z.string().min(1).max(256)
const token = z.string().regex(/^[0-9a-f]{32}$/)
const parties = z.union([z.literal('members'), z.array(z.enum(roles))])

export interface Mail {
  /** The certificate of the node that sent it. */
  readonly from: Uint8Array
  readonly actor: string
  readonly message: string
  readonly trace: string
  /** Undefined where it has a body. */
  readonly content: unknown
  /** Where content is kept that is too large for the record. */
  readonly body: Body | undefined
  /** Milliseconds since 1970: when it is a dead letter. */
  readonly deadline: number
  /** Which roles may take it. */
  readonly to: readonly Role[] | 'members'
  /** The key of the person whom its task is about. */
  readonly about: Uint8Array | undefined
  /** The same each time it is sent or delivered. */
  readonly id: string
  /** A digest of what it says. */
  readonly what: string
}

/** What stands in one place of the bucket. */
export type Standing =
  | { readonly state: 'waiting'; readonly mail: Mail }
  | { readonly state: 'taken'; readonly id: string; readonly what: string; readonly until: number }

const waitingSchema = z
  .tuple([
    z.literal('waiting'),
    binary,
    name,
    name,
    z.string(),
    z.unknown(),
    time,
    parties,
    binary.nullable(),
    token,
    token,
    bodySchema.optional(),
  ])
  .transform(
    ([, from, actor, message, trace, content, deadline, to, about, id, what, body]): Standing => ({
      state: 'waiting',
      mail: { from, actor, message, trace, content, body, deadline, to, about: about ?? undefined, id, what },
    }),
  )
const takenSchema = z
  .tuple([z.literal('taken'), token, token, time])
  .transform(([, id, what, until]): Standing => ({ state: 'taken', id, what, until }))
const standingSchema = z.union([waitingSchema, takenSchema])

/** Names what one sender has to say to one actor under a key of his own. */
export const mailId = (holder: string, actor: string, key: string): string =>
  hex(digest(encode([holder, actor, key]))).slice(0, 32)

export const digestOf = (message: string, content: unknown): string =>
  hex(digest(encode([message, content]))).slice(0, 32)

/** In bytes of msgpack. */
export const weightOf = ({ content, body }: Pick<Mail, 'content' | 'body'>): number =>
  body?.bytes ?? encode(content).length

/** `secret`: 32 bytes that only the authority's machine has. */
export const mailKey = (secret: Uint8Array): Uint8Array => digest(utf8('clawmesh mail 1\0'), secret)

export function sealStanding(standing: Standing, place: string, key: Uint8Array): Uint8Array {
  return sealWith(key, encode(wireOf(standing)), utf8(place))
}

/** Throws UNAUTHENTIC for what was not written there. */
export function openStanding(sealed: Uint8Array, place: string, key: Uint8Array): Standing {
  const standing = standingSchema.safeParse(decode(openWith(key, sealed, utf8(place))))
  if (standing.success) return standing.data
  throw new ClawmeshError('UNAUTHENTIC', 'A message that was kept does not read.')
}

function wireOf(standing: Standing): unknown[] {
  if (standing.state === 'taken') return ['taken', standing.id, standing.what, standing.until]
  const { from, actor, message, trace, content, body, deadline, to, about, id, what } = standing.mail
  const wire = ['waiting', from, actor, message, trace, content, deadline, to, about ?? null, id, what]
  return body ? [...wire, body] : wire
}
