/**
 * A dead letter: a message that nobody will be told about any other way, as it was when it could not be delivered. It is sealed to the auditors, so the node
 * that writes it cannot read it back, and signed by that node. In it is the certificate of its sender: a letter can name nobody with roles that the authority did not give.
 *
 *     [2, certificate, sealed, signature]        the signature is over `sealed`, in the context "dead letter"
 */
import { z } from 'zod'
import { ClawmeshError, errorCodes } from '../../policies/errors.js'
import { type Role, roles } from '../../policies/roles.js'
import { binary, decode, encode, latestTime, time } from '../codec.js'
import { type Certificate, readCertificate } from '../seal/certificate.js'
import type { Credentials } from '../seal/credentials.js'
import { type AgreementKey, hex, randomBytes, sign, verifies } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'

const partiesSchema = z.union([z.literal('members'), z.array(z.enum(roles))])

/** A request that is larger is not kept with its letter. */
export const mostKeptBytes = 4 * 1024
/** Of its words, each: a letter has its share of the stream and no more. */
const mostCharacters = { reason: 250, name: 200 }

const bodySchema = z.object({
  /** Milliseconds since 1970, by the clock of the node that wrote it. */
  at: time,
  code: z.string().refine((code) => code in errorCodes),
  reason: z.string(),
  /** Its handler had been called: what it had done by then is not known. */
  begun: z.boolean(),
  /** The certificate of the node that sent it. */
  from: binary,
  actor: z.string(),
  message: z.string(),
  trace: z.string(),
  deadline: time,
  /** Which roles may answer it; where its definition is not known, those of the node that it was sent to. */
  to: partiesSchema,
  bytes: z.number().int().nonnegative(),
  /** Undefined: it was too large to be kept. */
  request: z.object({ content: z.unknown() }).optional(),
})
export type DeadBody = z.output<typeof bodySchema>

export interface DeadLetter extends Omit<DeadBody, 'from'> {
  readonly id: string
  /** Whom it is from, as its writer says. */
  readonly sender: Certificate
  readonly writer: Certificate
}

/** What is known where a message is lost. */
export interface Lost {
  code: DeadBody['code']
  reason: string
  begun: boolean
  from: Certificate
  actor: string
  message: string
  trace: string
  deadline: number
  to: readonly Role[] | 'members'
  content: unknown
  /** Of its content, in bytes of msgpack; to be said where that is not here. */
  bytes?: number
}

const wireSchema = z.tuple([z.literal(2), binary, binary, binary])
const sealedSchema = z.tuple([z.string().regex(/^[0-9a-f]{16}$/), z.unknown()])

export function writeDeadLetter(
  { content, bytes = encode(content).length, to, from, code, begun, deadline, ...words }: Lost,
  at: number,
  { certificate, signing, auditorKey }: Pick<Credentials, 'certificate' | 'signing' | 'auditorKey'>,
): { id: string; wire: Uint8Array } {
  const id = hex(randomBytes(8))
  const kept = bytes <= mostKeptBytes ? { request: { content } } : {}
  const body: z.input<typeof bodySchema> = {
    code,
    begun,
    reason: words.reason.slice(0, mostCharacters.reason),
    actor: words.actor.slice(0, mostCharacters.name),
    message: words.message.slice(0, mostCharacters.name),
    trace: words.trace.slice(0, mostCharacters.name),
    at,
    deadline: Number.isNaN(deadline) ? 0 : Math.trunc(Math.min(Math.max(deadline, -latestTime), latestTime)),
    from: from.wire,
    bytes,
    to: to === 'members' ? to : [...to],
    ...kept,
  }
  const sealed = sodium.crypto_box_seal(encode([id, body]), auditorKey)
  return { id, wire: encode([2, certificate.wire, sealed, sign('dead letter', sealed, signing)]) }
}

/** Throws UNAUTHENTIC for what no node of this mesh wrote, or what does not open. */
export function readDeadLetter(wire: Uint8Array, rootKey: Uint8Array, auditor: AgreementKey): DeadLetter {
  try {
    const [, paper, sealed, signature] = wireSchema.parse(decode(wire))
    const writer = readCertificate(paper, rootKey)
    if (!verifies('dead letter', sealed, signature, writer.publicKey))
      throw new TypeError('its signature does not hold')
    const [id, body] = sealedSchema.parse(
      decode(sodium.crypto_box_seal_open(sealed, auditor.publicKey, auditor.secretKey)),
    )
    const { from, ...said } = bodySchema.parse(body)
    return { ...said, id, sender: readCertificate(from, rootKey), writer }
  } catch (cause) {
    throw new ClawmeshError(
      'UNAUTHENTIC',
      'A dead letter does not read: no node of this mesh wrote it, or one of an earlier version.',
      { cause },
    )
  }
}
