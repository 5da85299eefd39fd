/**
 * One link of a producer's chain, as it stands on disk and on the stream: some events that were synced together, under one signature.
 *
 *     signature (64 bytes) ‖ length of the head (4 bytes, big-endian) ‖ head (msgpack) ‖ sealed events
 *
 * Every byte is the signature or under it, and the hash that the next record holds is over all of them. The head is bound to the sealed events as their
 * associated data, so they open in their own place only.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode, latestTime } from '../codec.js'
import { digest, type SigningKey, sign, verifies } from '../seal/keys.js'

export interface RecordHead {
  /** Fingerprint of the producer's signing key. */
  readonly producer: string
  /** From 0, without a gap. */
  readonly number: number
  /** Hash of the producer's record before; 32 zero bytes for the first. */
  readonly previous: Uint8Array
  /** When it was sealed: milliseconds since 1970, by the producer's clock. */
  readonly time: number
  /** How many events it holds: 1 to `mostEvents`. */
  readonly count: number
  /** Set in the first record of each epoch of keys, and so in the first of each run. */
  readonly opening: EpochOpening | undefined
}

export interface EpochOpening {
  /** The producer's certificate. */
  readonly certificate: Uint8Array
  /** The epoch's first key, sealed to the auditors. */
  readonly key: Uint8Array
}

/** A record with what is derived from its bytes. */
export interface ReadRecord extends RecordHead {
  readonly bytes: Uint8Array
  /** The head as it stands: what the sealed events are bound to. */
  readonly head: Uint8Array
  readonly sealed: Uint8Array
  /** SHA-256 of the whole record: what the next one points to. */
  readonly hash: Uint8Array
}

export const noHash = new Uint8Array(32)

const signatureLength = 64
const headAt = signatureLength + 4

/** More do not make a record cheaper, and whoever reads it makes room for them. */
export const mostEvents = 1024

const headSchema = z.tuple([
  z.literal(2),
  z.string(),
  z.number().int().nonnegative(),
  binary,
  // The producer's word, for people: what no Date holds is told as the last that one does.
  z.number().transform((time) => Math.min(Math.max(Math.trunc(time), -latestTime), latestTime)),
  z.number().int().positive().max(mostEvents),
  z.tuple([binary, binary]).nullable(),
])

export function encodeHead({ producer, number, previous, time, count, opening }: RecordHead): Uint8Array {
  return encode([2, producer, number, previous, time, count, opening ? [opening.certificate, opening.key] : null])
}

export function writeRecord(head: Uint8Array, sealed: Uint8Array, key: SigningKey): Uint8Array {
  const bytes = new Uint8Array(headAt + head.length + sealed.length)
  new DataView(bytes.buffer).setUint32(signatureLength, head.length)
  bytes.set(head, headAt)
  bytes.set(sealed, headAt + head.length)
  bytes.set(sign('audit', bytes.subarray(signatureLength), key))
  return bytes
}

/** Throws AUDIT_BROKEN for what is no record. The signature is another question: `isSignedBy`. */
export function readRecord(bytes: Uint8Array): ReadRecord {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const sealedAt = headAt + view.getUint32(signatureLength)
    if (sealedAt > bytes.length) throw new Error('its head is longer than the record')
    const head = bytes.subarray(headAt, sealedAt)
    const [, producer, number, previous, time, count, opening] = headSchema.parse(decode(head))
    return {
      producer,
      number,
      previous,
      time,
      count,
      opening: opening ? { certificate: opening[0], key: opening[1] } : undefined,
      bytes,
      head,
      sealed: bytes.subarray(sealedAt),
      hash: digest(bytes),
    }
  } catch (cause) {
    throw new ClawmeshError('AUDIT_BROKEN', 'Bytes stand in the audit trail that are no audit record.', {
      hint: 'They were damaged or put there, or an early version of clawmesh wrote them: then begin with a new data folder.',
      cause,
    })
  }
}

export const isSignedBy = ({ bytes }: ReadRecord, publicKey: Uint8Array): boolean =>
  verifies('audit', bytes.subarray(signatureLength), bytes.subarray(0, signatureLength), publicKey)
