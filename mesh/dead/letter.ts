/**
 * A dead letter: a message that nobody will be told about any other way, as it was when it could not be delivered. It is sealed to the auditors, so the node
 * that writes it cannot read it back, and signed by that node.
 *
 *     [1, certificate, sealed, signature]        the signature is over `sealed`, in the context "dead letter"
 */
import { z } from 'zod'
import { ClawmeshError, errorCodes } from '../../policies/errors.js'
import { type Role, roles } from '../../policies/roles.js'
import { binary, decode, encode } from '../codec.js'
import { readCertificate } from '../seal/certificate.js'
import type { Credentials } from '../seal/credentials.js'
import { type AgreementKey, hex, randomBytes, sign, verifies } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'

const partiesSchema = z.union([z.literal('members'), z.array(z.enum(roles))])

/** A request that is larger is not kept with its letter. */
export const mostKeptBytes = 64 * 1024

const bodySchema = z.object({
  /** Milliseconds since 1970, by the clock of the node that wrote it. */
  at: z.number(),
  code: z.string().refine((code) => code in errorCodes),
  reason: z.string(),
  /** Its handler had been called: what it had done by then is not known. */
  begun: z.boolean(),
  /** The certified name of the node that sent it. */
  from: z.string(),
  actor: z.string(),
  message: z.string(),
  trace: z.string(),
  deadline: z.number(),
  /** Which roles may answer it; where its definition is not known, those of the node that it was sent to. */
  to: partiesSchema,
  bytes: z.number(),
  /** Undefined: it was too large to be kept. */
  request: z.object({ content: z.unknown() }).optional(),
})
export type DeadBody = z.output<typeof bodySchema>

export interface DeadLetter extends DeadBody {
  readonly id: string
  /** The node that wrote it, and its holder. */
  readonly by: string
  readonly holder: string
}

/** What is known where a message is lost. */
export interface Lost {
  code: DeadBody['code']
  reason: string
  begun: boolean
  from: string
  actor: string
  message: string
  trace: string
  deadline: number
  to: readonly Role[] | 'members'
  content: unknown
}

const wireSchema = z.tuple([z.literal(1), binary, binary, binary])
const sealedSchema = z.tuple([z.string().regex(/^[0-9a-f]{16}$/), z.unknown()])

export function writeDeadLetter(
  { content, to, ...lost }: Lost,
  at: number,
  { certificate, signing, auditorKey }: Pick<Credentials, 'certificate' | 'signing' | 'auditorKey'>,
): { id: string; wire: Uint8Array } {
  const id = hex(randomBytes(8))
  const bytes = encode(content).length
  const kept = bytes <= mostKeptBytes ? { request: { content } } : {}
  const body: z.input<typeof bodySchema> = { ...lost, at, bytes, to: to === 'members' ? to : [...to], ...kept }
  const sealed = sodium.crypto_box_seal(encode([id, body]), auditorKey)
  return { id, wire: encode([1, certificate.wire, sealed, sign('dead letter', sealed, signing)]) }
}

/** Throws UNAUTHENTIC for what no node of this mesh wrote, or what does not open. */
export function readDeadLetter(wire: Uint8Array, rootKey: Uint8Array, auditor: AgreementKey): DeadLetter {
  try {
    const [, paper, sealed, signature] = wireSchema.parse(decode(wire))
    const { name, holder, publicKey } = readCertificate(paper, rootKey)
    if (!verifies('dead letter', sealed, signature, publicKey)) throw new TypeError('its signature does not hold')
    const [id, body] = sealedSchema.parse(
      decode(sodium.crypto_box_seal_open(sealed, auditor.publicKey, auditor.secretKey)),
    )
    return { ...bodySchema.parse(body), id, by: name, holder }
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', 'A dead letter does not read: no node of this mesh wrote it.', { cause })
  }
}
