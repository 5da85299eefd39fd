/**
 * A text that the authority has put in force for the whole mesh, as the next version of one before it, under the root's signature. Versions only grow, so whoever
 * has seen one is not talked out of it by an older one. What the text means is for those who go by it.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { digest, hex, type SigningKey, sign, verifies } from './keys.js'

const bodySchema = z
  .tuple([
    z.literal(1),
    z.string(),
    z.number().int().positive(),
    z.string(),
    z.number().int(),
    z.string().max(256),
    z.string().max(256),
    z.string().max(1024),
    z.string().max(1024 * 1024),
  ])
  .transform(([, mesh, version, previous, time, by, name, reason, text]) => ({
    mesh,
    version,
    previous,
    time,
    by,
    name,
    reason,
    text,
  }))

/** Where the reason stands in it. */
const reasonAt = 7

const wireSchema = z.tuple([binary, binary])

export interface EditionBody {
  /** From 1, each more than the last: by more than one where nodes were seen to have later ones than an authority that was restored. */
  readonly version: number
  /** SHA-256 of the version before, hex; empty for the first. */
  readonly previous: string
  /** Milliseconds since 1970, by the authority's clock. */
  readonly time: number
  /** Who put it in force: a person's name on the authority's machine. */
  readonly by: string
  /** What it is called: a file, a preset. */
  readonly name: string
  /** Why, in that person's words. */
  readonly reason: string
  readonly text: string
}

export interface Edition extends EditionBody {
  readonly wire: Uint8Array
  /** SHA-256 of the wire, hex. */
  readonly hash: string
}

/** Throws USAGE for what nobody could read back: a name or a reason that is too long. */
export function writeEdition(mesh: string, edition: EditionBody, root: SigningKey): Edition {
  const { version, previous, time, by, name, reason, text } = edition
  const content = [1, mesh, version, previous, time, by, name, reason, text]
  const checked = bodySchema.safeParse(content)
  if (!checked.success) {
    const [issue] = checked.error.issues
    const what = issue?.path[0] === reasonAt ? 'reason' : 'policy'
    throw new ClawmeshError('USAGE', `The ${what} of version ${version} cannot be written down: ${issue?.message}.`, {
      hint: 'A reason has up to 1,024 characters, a name up to 256.',
    })
  }
  const body = encode(content)
  const wire = encode([body, sign('policy', body, root)])
  return { ...edition, wire, hash: hex(digest(wire)) }
}

/** Throws UNAUTHENTIC for what this mesh's authority did not sign. */
export function readEdition(wire: Uint8Array, mesh: string, rootKey: Uint8Array): Edition {
  const outer = wireSchema.safeParse(decode(wire))
  const body =
    outer.success && verifies('policy', outer.data[0], outer.data[1], rootKey)
      ? bodySchema.safeParse(decode(outer.data[0]))
      : undefined
  if (!body?.success || body.data.mesh !== mesh)
    throw new ClawmeshError('UNAUTHENTIC', "A policy arrived that this mesh's authority did not sign.")
  const { mesh: _, ...edition } = body.data
  return { ...edition, wire, hash: hex(digest(wire)) }
}
