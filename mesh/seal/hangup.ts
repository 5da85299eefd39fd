/**
 * That the broker saw the connection of a run of a node end, after the beat of this number: under the root's signature. It is a hint and no more: the run may have come back
 * meanwhile, or have another connection, and then it beats on.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { type SigningKey, sign, verifies } from './keys.js'

export interface Hangup {
  /** The id of the run. */
  run: string
  /** The newest that was heard of it. */
  beat: number
}

const bodySchema = z.tuple([z.literal(1), z.string(), z.string(), z.number()])
const wireSchema = z.tuple([binary, binary])

export function writeHangup(mesh: string, { run, beat }: Hangup, root: SigningKey): Uint8Array {
  const body = encode([1, mesh, run, beat])
  return encode([body, sign('hangup', body, root)])
}

/** Throws UNAUTHENTIC for what this mesh's authority did not sign. */
export function readHangup(wire: Uint8Array, mesh: string, rootKey: Uint8Array): Hangup {
  const outer = wireSchema.safeParse(decode(wire))
  const body =
    outer.success && verifies('hangup', outer.data[0], outer.data[1], rootKey)
      ? bodySchema.safeParse(decode(outer.data[0]))
      : undefined
  if (!body?.success || body.data[1] !== mesh)
    throw new ClawmeshError('UNAUTHENTIC', "Word of a lost connection arrived that this mesh's authority did not sign.")
  const [, , run, beat] = body.data
  return { run, beat }
}
