/**
 * That one record stood in the trail when the authority vouched for it, shown to somebody who has the root's public key and nothing else: the record, the
 * certificate of its producer, the way from its hash to the root of a checkpoint's tree, and the checkpoint. With the key of the record it can be read, too: of that one,
 * and of no other.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { readCertificate } from '../seal/certificate.js'
import { fromHex, hex, utf8, verifies } from '../seal/keys.js'
import { type Checkpoint, checkpointSchema } from './checkpoint.js'
import { type DatedEvent, type PackedEvent, splitEvents } from './event.js'
import { openSealed } from './facts.js'
import { climb, inclusionPath } from './merkle.js'
import { openOnce } from './ratchet.js'
import type { TrailRecord } from './reader.js'
import { isSignedBy, readRecord } from './record.js'

const hexBytes = z.string().regex(/^([0-9a-f]{2})+$/)

export const proofSchema = z.object({
  format: z.literal('clawmesh inclusion proof 1'),
  /** The record as it stands on the stream, in base64. */
  record: z.string(),
  /** The producer's certificate, hex. */
  certificate: hexBytes,
  /** Which leaf of the checkpoint's tree it is, and how many there are. */
  index: z.number().int().nonnegative(),
  size: z.number().int().positive(),
  /** Hashes from the leaf's sibling up, hex. */
  path: z.array(hexBytes),
  checkpoint: checkpointSchema,
  /** The key of this record, hex, if it may be read. */
  key: hexBytes.optional(),
  /** With it, the keys of what its events say of persons, in their order; null where there is none, or was erased. */
  facts: z.array(hexBytes.nullable()).optional(),
})
export type Proof = z.output<typeof proofSchema>

export interface Proven {
  /** The node's name, by its certificate. */
  node: string
  producer: string
  number: number
  /** Milliseconds since 1970: of the record by its producer's clock, and of the checkpoint by the authority's. */
  time: number
  vouchedAt: number
  /** Hash of the record, hex. */
  hash: string
  /** Set if its key was given. */
  events: DatedEvent[] | undefined
}

/**
 * `records`: all of the stream, in its order. Undefined if no checkpoint covers the record yet.
 * @param key of the record, to be given away with it
 * @param facts of its events, as far as they are sealed to persons
 */
export function prove(
  record: TrailRecord,
  records: readonly TrailRecord[],
  checkpoints: readonly Checkpoint[],
  key: Uint8Array | undefined,
  facts: readonly (Uint8Array | undefined)[] = [],
): Proof | undefined {
  const place = records.indexOf(record)
  const nth = checkpoints.findIndex(({ count }) => place < count)
  const checkpoint = checkpoints[nth]
  if (place < 0 || !checkpoint) return undefined
  const from = checkpoints[nth - 1]?.count ?? 0
  const leaves = records.slice(from, checkpoint.count).map(({ hash }) => hash)
  const index = place - from
  return {
    format: 'clawmesh inclusion proof 1',
    record: Buffer.from(record.bytes).toString('base64'),
    certificate: hex(record.epoch.certificate.wire),
    index,
    size: leaves.length,
    path: inclusionPath(leaves, index).map(hex),
    checkpoint,
    ...(key ? { key: hex(key) } : {}),
    ...(key && facts.some((each) => each) ? { facts: facts.map((each) => (each ? hex(each) : null)) } : {}),
  }
}

/** Trusts the root's public key alone. Throws AUDIT_BROKEN, saying what does not hold. */
export function checkProof(proof: Proof, rootKey: Uint8Array): Proven {
  const { index, size, path, checkpoint, key, facts = [] } = proof
  const record = readRecord(new Uint8Array(Buffer.from(proof.record, 'base64')))
  const certificate = attempt('the certificate is not of this mesh', () =>
    readCertificate(fromHex(proof.certificate), rootKey),
  )
  if (certificate.holder !== record.producer) throw untrue('the record is of another producer than the certificate')
  if (!isSignedBy(record, certificate.publicKey)) throw untrue('the record is not signed by its producer')
  const { signature, ...unsigned } = checkpoint
  if (!verifies('checkpoint', utf8(JSON.stringify(unsigned)), fromHex(signature), rootKey))
    throw untrue('the checkpoint is not signed by the root')
  const root = climb(record.hash, index, size, path.map(fromHex))
  if (!root || hex(root) !== checkpoint.root) throw untrue('the record is not under the checkpoint')
  const events =
    key === undefined
      ? undefined
      : attempt('the key does not open the record', () =>
          splitEvents(openOnce(fromHex(key), record.head, record.sealed)),
        ).map((event, index) => disclosed(event, facts[index]))
  const { producer, number, time, hash } = record
  return { node: certificate.name, producer, number, time, vouchedAt: checkpoint.time, hash: hex(hash), events }
}

function disclosed({ facts, sealed, ...event }: PackedEvent, key: string | null | undefined): DatedEvent {
  if (!sealed) return { ...event, facts: facts ?? {} }
  const subject = hex(sealed.subject)
  if (!key) return { ...event, subject, facts: { undisclosed: true } }
  const opened = openSealed(event, sealed, fromHex(key))
  if (!opened) throw untrue('a key does not open what an event says of a person')
  return { ...event, subject, facts: opened }
}

function attempt<T>(otherwise: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw untrue(otherwise, cause)
  }
}

const untrue = (what: string, cause?: unknown): ClawmeshError =>
  new ClawmeshError('AUDIT_BROKEN', `The proof does not hold: ${what}.`, {
    hint: 'It was changed, or it is of another mesh than this root key.',
    cause,
  })
