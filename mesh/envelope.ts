/**
 * What crosses the broker: `[header, sealed]`. The header is in the clear and bound to the sealed part, together with
 * the subject, so neither can be changed, nor the whole moved to another address.
 */
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import { binary, decode, encode } from './codec.js'
import { hex, randomBytes, utf8 } from './seal/keys.js'

export const kinds = ['tell', 'ask', 'open', 'reply', 'error', 'item', 'end', 'credit', 'cancel'] as const
export type Kind = (typeof kinds)[number]

export interface Header {
  kind: Kind
  /** Ids of the two runs. */
  from: string
  to: string
  /** 16 random bytes in hex, never used twice. */
  id: string
  /** Joins a call with its answers; numbered by the caller, 0 for a tell. */
  call: number
  /** Milliseconds since 1970. */
  sent: number
  deadline: number
}

export interface Envelope {
  header: Header
  /** The header as it was on the wire. */
  headerBytes: Uint8Array
  sealed: Uint8Array
}

const version = 1
const envelopeSchema = z.tuple([binary, binary])
const headerSchema = z
  .tuple([
    z.literal(version),
    z
      .number()
      .int()
      .min(0)
      .max(kinds.length - 1),
    z.string(),
    z.string(),
    z.string().length(32),
    z.number().int().nonnegative(),
    z.number().int(),
    z.number().int(),
  ])
  .transform(([, kind, from, to, id, call, sent, deadline]): Header => {
    return { kind: kinds[kind] ?? 'tell', from, to, id, call, sent, deadline }
  })

export const newMessageId = (): string => hex(randomBytes(16))

export function encodeHeader(header: Header): Uint8Array {
  const { kind, from, to, id, call, sent, deadline } = header
  return encode([version, kinds.indexOf(kind), from, to, id, call, sent, deadline])
}

export function encodeEnvelope(headerBytes: Uint8Array, sealed: Uint8Array): Uint8Array {
  return encode([headerBytes, sealed])
}

export function decodeEnvelope(wire: Uint8Array): Envelope {
  const outer = envelopeSchema.safeParse(decode(wire))
  if (!outer.success) throw notUnderstood()
  const [headerBytes, sealed] = outer.data
  const header = headerSchema.safeParse(decode(headerBytes))
  if (!header.success) throw notUnderstood()
  return { header: header.data, headerBytes, sealed }
}

/** The associated data of the seal: the exact header and where it was sent to. */
export function boundTo(subject: string, headerBytes: Uint8Array): Uint8Array {
  const place = utf8(subject)
  const bound = new Uint8Array(2 + place.length + headerBytes.length)
  bound[0] = place.length >> 8
  bound[1] = place.length & 0xff
  bound.set(place, 2)
  bound.set(headerBytes, 2 + place.length)
  return bound
}

const notUnderstood = () => new ClawmeshError('MESSAGE_INVALID', 'A message arrived that is no clawmesh envelope.')
