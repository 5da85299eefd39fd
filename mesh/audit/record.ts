/**
 * One link of a producer's chain, as it stands on disk and on the stream: `[body, signature]` with the body
 * `[1, producer, number, previous hash, time, certificate or nil, sealed event]`. Every byte is under the signature, and there is one way to
 * write a record, so a changed byte cannot hide in a second spelling.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { digest, type SigningKey, sameBytes, sign } from '../seal/keys.js'

export interface AuditRecord {
  /** Fingerprint of the producer's signing key. */
  readonly producer: string
  /** From 0, without a gap. */
  readonly number: number
  /** Hash of the producer's record before; 32 zero bytes for the first. */
  readonly previous: Uint8Array
  /** Milliseconds since 1970, by the producer's clock. */
  readonly time: number
  /** The producer's certificate: in its first record of each run. */
  readonly certificate: Uint8Array | undefined
  readonly sealed: Uint8Array
}

/** A record with what is derived from its bytes. */
export interface ReadRecord extends AuditRecord {
  readonly body: Uint8Array
  readonly signature: Uint8Array
  /** SHA-256 of the whole record: what the next one points to. */
  readonly hash: Uint8Array
}

export const noHash = new Uint8Array(32)

const outerSchema = z.tuple([binary, binary])
const bodySchema = z.tuple([
  z.literal(1),
  z.string(),
  z.number().int().nonnegative(),
  binary,
  z.number().int(),
  binary.nullable(),
  binary,
])

export function writeRecord(record: AuditRecord, key: SigningKey): Uint8Array {
  const { producer, number, previous, time, certificate, sealed } = record
  const body = encode([1, producer, number, previous, time, certificate ?? null, sealed])
  return encode([body, sign('audit', body, key)])
}

export function readRecord(bytes: Uint8Array): ReadRecord {
  try {
    const [body, signature] = outerSchema.parse(decode(bytes))
    const content = bodySchema.parse(decode(body))
    if (!sameBytes(encode(content), body) || !sameBytes(encode([body, signature]), bytes))
      throw new Error('spelled in another way')
    const [, producer, number, previous, time, certificate, sealed] = content
    const hash = digest(bytes)
    return { producer, number, previous, time, certificate: certificate ?? undefined, sealed, body, signature, hash }
  } catch (cause) {
    throw new ClawmeshError('AUDIT_BROKEN', 'Bytes stand in the audit trail that are no audit record.', { cause })
  }
}
