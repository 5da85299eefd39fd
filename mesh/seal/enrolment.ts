/**
 * A question to the authority for a certificate, and its answer, over a wire that belongs to an enemy.
 *
 * Both sides share a secret: a newcomer the one of its invitation, a member the mesh key. The secret never crosses the wire.
 *
 * 1. The question is sealed under a key made of the secret, and signed by the key that is to be certified: only who knows the secret can ask, and nobody can
 *    put a key of his own into the question of another.
 * 2. The answer is sealed under a key made of the secret and of a fresh X25519 agreement: who learns the secret later opens nothing that was recorded.
 * 3. The answer is signed by the root, over the question: an authority that only knows the secret is none. So is every refusal.
 */
import { z } from 'zod'
import { ClawmeshError, type ErrorCode, errorCodes } from '../../policies/errors.js'
import { roles } from '../../policies/roles.js'
import { binary, decode, encode } from '../codec.js'
import { openWith, sealWith } from './box.js'
import { agreementKey, digest, type SigningKey, sign, utf8, verifies } from './keys.js'
import { sodium } from './sodium.js'

/** What is asked. */
export const wishSchema = z.object({
  /** The name that the newcomer would like; a member's own. */
  name: z.string().max(100),
  roles: z.array(z.enum(roles)).max(roles.length),
  /** nkey public key of the user that it will be on the broker. */
  brokerKey: z.string().regex(/^U[A-Z2-7]{55}$/),
  /** Milliseconds since 1970. */
  askedAt: z.number().int(),
})
export type Wish = z.output<typeof wishSchema>

/** What a node gets. */
export const grantSchema = z.object({
  certificate: binary,
  meshKey: binary,
  auditorKey: binary,
  brokerToken: z.string(),
  servers: z.array(z.string()),
  tlsAuthority: z.string().optional(),
})
export type Grant = z.output<typeof grantSchema>

/** `enrol`: by an invitation. `renew`: by a member. `id` says which. */
export type Kind = 'enrol' | 'renew'

const questionSchema = z.tuple([z.literal(1), z.enum(['enrol', 'renew']), z.string().max(64), binary, binary])
const signedSchema = z.tuple([binary, binary, binary])
const answerSchema = z.tuple([z.literal(1), z.literal('granted'), binary, binary, binary])
const refusalSchema = z.tuple([z.literal(1), z.literal('refused'), binary, binary])
const reasonSchema = z.tuple([z.string(), z.string(), z.string()])

export interface Asker {
  readonly kind: Kind
  readonly id: string
  readonly secret: Uint8Array
  readonly signing: SigningKey
  readonly rootKey: Uint8Array
}

export interface Question {
  readonly wire: Uint8Array
  /** What was granted; throws the authority's refusal, or UNAUTHENTIC where the answer is not the authority's. */
  open(answer: Uint8Array): Grant
}

export function askAuthority({ kind, id, secret, signing, rootKey }: Asker, wish: Wish): Question {
  const ephemeral = agreementKey()
  const bound = encode([1, kind, id, ephemeral.publicKey])
  const body = encode(wish)
  const signature = sign('enrolment', digest(bound, body), signing)
  const sealed = sealWith(questionKey(secret), encode([body, signing.publicKey, signature]), bound)
  const wire = encode([1, kind, id, ephemeral.publicKey, sealed])
  return {
    wire,
    open: (answer) => {
      const read = decode(answer)
      const refusal = refusalSchema.safeParse(read)
      if (refusal.success) throw refused(wire, refusal.data[2], refusal.data[3], rootKey)
      const granted = answerSchema.safeParse(read)
      if (!granted.success) throw notHers()
      const [, , theirs, box, proof] = granted.data
      if (!verifies('grant', digest(digest(wire), theirs, box), proof, rootKey)) throw notHers()
      const key = answerKey(secret, sodium.crypto_scalarmult(ephemeral.secretKey, theirs), wire, theirs)
      return grantSchema.parse(decode(openWith(key, box, digest(wire))))
    },
  }
}

/** A question as it stands on the wire, before anybody knows whether it is to be believed. */
export interface Asked {
  readonly kind: Kind
  readonly id: string
  /** Rejects with UNAUTHENTIC what was not asked with that secret, by the holder of the key that it names. */
  open(secret: Uint8Array): { wish: Wish; publicKey: Uint8Array }
  grant(secret: Uint8Array, grant: Grant, root: SigningKey): Uint8Array
  refuse(error: ClawmeshError, root: SigningKey): Uint8Array
}

/** Undefined: not a question at all. */
export function readQuestion(wire: Uint8Array): Asked | undefined {
  const parsed = questionSchema.safeParse(quietly(wire))
  if (!parsed.success) return undefined
  const [, kind, id, theirs, sealed] = parsed.data
  return {
    kind,
    id,
    open: (secret) => {
      const bound = encode([1, kind, id, theirs])
      const [body, publicKey, signature] = signedSchema.parse(decode(openWith(questionKey(secret), sealed, bound)))
      if (!verifies('enrolment', digest(bound, body), signature, publicKey))
        throw new ClawmeshError('UNAUTHENTIC', 'A certificate was asked for without the key that it is to name.')
      return { wish: wishSchema.parse(decode(body)), publicKey: new Uint8Array(publicKey) }
    },
    grant: (secret, grant, root) => {
      const ephemeral = agreementKey()
      const shared = sodium.crypto_scalarmult(ephemeral.secretKey, theirs)
      const key = answerKey(secret, shared, wire, ephemeral.publicKey)
      const box = sealWith(key, encode(grant), digest(wire))
      const proof = sign('grant', digest(digest(wire), ephemeral.publicKey, box), root)
      return encode([1, 'granted', ephemeral.publicKey, box, proof])
    },
    refuse: ({ code, message, hint }, root) => {
      const reason = encode([code, message, hint])
      return encode([1, 'refused', reason, sign('refusal', digest(digest(wire), reason), root)])
    },
  }
}

const questionKey = (secret: Uint8Array) => sodium.crypto_generichash(32, utf8('clawmesh question 1'), secret)

const answerKey = (secret: Uint8Array, shared: Uint8Array, wire: Uint8Array, theirs: Uint8Array) =>
  sodium.crypto_generichash(32, digest(utf8('clawmesh answer 1\0'), digest(secret), digest(wire), theirs), shared)

function refused(wire: Uint8Array, reason: Uint8Array, proof: Uint8Array, rootKey: Uint8Array): ClawmeshError {
  if (!verifies('refusal', digest(digest(wire), reason), proof, rootKey)) return notHers()
  const [code, message, hint] = reasonSchema.parse(decode(reason))
  return new ClawmeshError(code in errorCodes ? (code as ErrorCode) : 'INTERNAL', message, { hint })
}

const notHers = () =>
  new ClawmeshError('UNAUTHENTIC', 'Whoever answered is not the authority that made this invitation.', {
    hint: 'Somebody is between this machine and the mesh, or the address belongs to another mesh. Nothing was given away; ask for a new invitation.',
  })

function quietly(wire: Uint8Array): unknown {
  try {
    return decode(wire)
  } catch {
    return undefined
  }
}
