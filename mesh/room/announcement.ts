/**
 * A publisher's word which key it seals with in a room from one of its batches on: told to each member under the seal of their session, signed so that it is this
 * publisher's for good, and said once for each place.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { type SigningKey, sign, verifies } from '../seal/keys.js'

const bodySchema = z
  .tuple([
    z.literal(1),
    z.string(),
    z.string(),
    z.number().int().positive(),
    z.number().int().nonnegative(),
    binary.refine((key) => key.length === 32),
  ])
  .transform(([, room, publisher, epoch, first, key]) => ({ room, publisher, epoch, first, key }))
const wireSchema = z.tuple([binary, binary])

export interface Announcement {
  readonly room: string
  /** Id of the run. */
  readonly publisher: string
  readonly epoch: number
  /** The number of the first batch that is sealed under it. */
  readonly first: number
  /** The first of its chain, 32 bytes. */
  readonly key: Uint8Array
}

export function writeAnnouncement(
  { room, publisher, epoch, first, key }: Announcement,
  signing: SigningKey,
): Uint8Array {
  const body = encode([1, room, publisher, epoch, first, key])
  return encode([body, sign(context, body, signing)])
}

/** Whose it says it is, before that is proven. */
export function readAnnouncement(wire: Uint8Array): { said: Announcement; isSignedBy(publicKey: Uint8Array): boolean } {
  const outer = wireSchema.safeParse(decode(wire))
  const body = outer.success ? bodySchema.safeParse(decode(outer.data[0])) : undefined
  if (!outer.success || !body?.success)
    throw new ClawmeshError('MESSAGE_INVALID', 'A key of a room was announced in a form that is not understood.')
  const [signed, signature] = outer.data
  return { said: body.data, isSignedBy: (publicKey) => verifies(context, signed, signature, publicKey) }
}

const context = 'room key'
