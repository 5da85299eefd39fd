/**
 * Who is in a room: the list of its members under the holder's signature. Each list has an epoch, one more than the list before, and what is sealed in an epoch is
 * sealed for its members alone. Epochs only grow, so whoever has seen a list is not talked out of it by an older one.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import type { Peer } from '../seal/incarnation.js'
import { type SigningKey, sign, verifies } from '../seal/keys.js'

export const maxMembers = 256

const id = z.string().regex(/^[0-9a-f]{32}$/)
const bodySchema = z
  .tuple([
    z.literal(1),
    id,
    z.string().min(1).max(200),
    id,
    z.number().int().positive(),
    z.array(z.tuple([id, z.number().int().positive()])).max(maxMembers),
  ])
  .transform(([, room, name, holder, epoch, members]) => ({ room, name, holder, epoch, members: new Map(members) }))
const wireSchema = z.tuple([binary, binary])

export interface Roster {
  /** 32 hex digits, by chance. */
  readonly room: string
  readonly name: string
  /** The run that holds the room. */
  readonly holder: string
  readonly epoch: number
  /** By the ids of their runs: since which epoch each has been in, without a break. */
  readonly members: ReadonlyMap<string, number>
}

export function writeRoster({ room, name, holder, epoch, members }: Roster, signing: SigningKey): Uint8Array {
  const body = encode([1, room, name, holder, epoch, [...members]])
  return encode([body, sign(context, body, signing)])
}

/** Throws UNAUTHENTIC for what this run did not sign. */
export function readRoster(wire: Uint8Array, holder: Peer): Roster {
  const outer = wireSchema.safeParse(decode(wire))
  const body =
    outer.success && verifies(context, outer.data[0], outer.data[1], holder.certificate.publicKey)
      ? bodySchema.safeParse(decode(outer.data[0]))
      : undefined
  if (!body?.success || body.data.holder !== holder.id)
    throw new ClawmeshError('UNAUTHENTIC', 'A list of the members of a room arrived that its holder did not sign.')
  return body.data
}

const context = 'room roster'
