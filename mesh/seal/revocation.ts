/**
 * Whose certificates are no longer good: the holders, under the root's signature. A list only grows, so whoever has seen one is not talked out of it by an
 * older one.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { type SigningKey, sign, verifies } from './keys.js'

const bodySchema = z.tuple([z.literal(1), z.string(), z.array(z.string())])
const wireSchema = z.tuple([binary, binary])

export function writeRevocations(mesh: string, holders: readonly string[], root: SigningKey): Uint8Array {
  const body = encode([1, mesh, holders])
  return encode([body, sign('revocations', body, root)])
}

/** The holders. Rejects a list that this mesh's authority did not sign. */
export function readRevocations(wire: Uint8Array, mesh: string, rootKey: Uint8Array): string[] {
  const outer = wireSchema.safeParse(decode(wire))
  const body =
    outer.success && verifies('revocations', outer.data[0], outer.data[1], rootKey)
      ? bodySchema.safeParse(decode(outer.data[0]))
      : undefined
  if (!body?.success || body.data[1] !== mesh)
    throw new ClawmeshError('UNAUTHENTIC', "A list of revocations arrived that this mesh's authority did not sign.")
  return body.data[2]
}
