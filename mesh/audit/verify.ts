/**
 * Says whether an audit trail is whole, and if not, where it is not. Pure: it takes what was read and trusts only the root key.
 *
 * Seen are: a changed byte, a record put in, left out, doubled with other content, moved, cut off at either end; a chain that goes on under a key that the
 * authority did not certify; a stream that is shorter than it is known to have been, or other than at a checkpoint.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode } from '../codec.js'
import { readCertificate } from '../seal/certificate.js'
import { hex, sameBytes, verifies } from '../seal/keys.js'
import type { Stored } from '../transport/transport.js'
import type { OwnCopy } from './chain.js'
import type { Checkpoint } from './checkpoint.js'
import { merkleRoot } from './merkle.js'
import { noHash, type ReadRecord, readRecord } from './record.js'

export interface Trail {
  /** The stream's messages, each a batch of records. */
  stored: Stored[]
  checkpoints: Checkpoint[]
  /** Producers' own chain files, as far as they are at hand: producer → its copy. */
  chains: Map<string, OwnCopy>
}

export interface Fault {
  /** For people: "record 17 of node worker-2 (stream message 40)". */
  place: string
  what: string
}

/** Records that a node has on its disk and the stream never had: a crash came between the two. */
export interface Unsent {
  producer: string
  /** The node's name, or its producer where the stream has nothing of it. */
  name: string
  records: ReadRecord[]
}

export interface Verdict {
  ok: boolean
  /** Every record of the stream in its order, repetitions left out. */
  records: ReadRecord[]
  producers: number
  /** Records that a checkpoint covers; the rest is held by the chains alone. */
  checkpointed: number
  /** No fault: the next start sends them. */
  unsent: Unsent[]
  faults: Fault[]
}

interface Head {
  name: string
  publicKey: Uint8Array
  next: number
  hash: Uint8Array
  hashes: Uint8Array[]
}

export function verifyTrail(trail: Trail, rootKey: Uint8Array): Verdict {
  const faults: Fault[] = []
  const heads = new Map<string, Head>()
  const records: ReadRecord[] = []
  for (const { place, bytes } of recordsOf(trail.stored, faults)) {
    const record = attempt(() => readRecord(bytes), place, faults)
    if (!record) continue
    const head = headOf(record, heads, rootKey, place, faults)
    if (!head) continue
    const isNew = follow(record, head, `record ${record.number} of node ${head.name} (${place})`, faults)
    if (isNew) records.push(record)
  }
  const checkpointed = compareCheckpoints(
    trail.checkpoints,
    records.map(({ hash }) => hash),
    faults,
  )
  const producers = heads.size
  const unsent = compareChains(trail.chains, heads, rootKey, faults)
  return { ok: faults.length === 0, records, producers, checkpointed, unsent, faults }
}

function recordsOf(stored: Stored[], faults: Fault[]): { place: string; bytes: Uint8Array }[] {
  return stored.flatMap(({ sequence, bytes }) => {
    const place = `stream message ${sequence}`
    const batch = attempt(() => decode(bytes), place, faults)
    if (batch === undefined) return []
    if (!Array.isArray(batch) || !batch.every((record) => record instanceof Uint8Array)) {
      faults.push({ place, what: 'it is no batch of records' })
      return []
    }
    return batch.map((record: Uint8Array) => ({ place, bytes: record }))
  })
}

/** The state of the record's chain, begun by a record that brings a certificate of its producer. */
function headOf(
  record: ReadRecord,
  heads: Map<string, Head>,
  rootKey: Uint8Array,
  place: string,
  faults: Fault[],
): Head | undefined {
  const known = heads.get(record.producer)
  const wire = record.certificate
  if (!wire) {
    if (!known)
      faults.push({ place, what: `the chain of producer ${record.producer} does not begin with its certificate` })
    return known
  }
  const certificate = attempt(() => readCertificate(wire, rootKey), place, faults)
  if (!certificate) return undefined
  if (certificate.holder !== record.producer) {
    faults.push({ place, what: `the certificate is that of another node, ${certificate.name}` })
    return undefined
  }
  if (known) return known
  const head = { name: certificate.name, publicKey: certificate.publicKey, next: 0, hash: noHash, hashes: [] }
  heads.set(record.producer, head)
  return head
}

/** Checks one record against its chain. False for a faithful repetition, which a crash of its producer can cause. */
function follow(record: ReadRecord, head: Head, place: string, faults: Fault[]): boolean {
  if (!verifies('audit', record.body, record.signature, head.publicKey)) {
    faults.push({ place, what: 'its signature is not that of its producer' })
    return true
  }
  if (record.number < head.next) {
    const first = head.hashes[record.number]
    if (first && sameBytes(first, record.hash)) return false
    faults.push({ place, what: 'it stands here a second time, with other content or out of order' })
    return true
  }
  if (record.number > head.next) {
    const missing = record.number - head.next
    faults.push({
      place,
      what: `${missing} record${missing > 1 ? 's' : ''} before it (from ${head.next}) ${missing > 1 ? 'are' : 'is'} missing`,
    })
  } else if (!sameBytes(record.previous, head.hash)) {
    faults.push({ place, what: 'it does not continue the record before it' })
  }
  head.next = record.number + 1
  head.hash = record.hash
  head.hashes[record.number] = record.hash
  return true
}

function compareCheckpoints(checkpoints: Checkpoint[], order: Uint8Array[], faults: Fault[]): number {
  let from = 0
  for (const { count, root } of checkpoints) {
    const place = `stream records ${from} to ${count - 1}`
    if (order.length < count) {
      faults.push({ place, what: `only ${order.length} records are left; the authority saw ${count}` })
      break
    }
    if (hex(merkleRoot(order.slice(from, count))) !== root) {
      faults.push({ place, what: 'they are not what the authority saw there, or not in that order' })
    }
    from = count
  }
  return Math.min(from, order.length)
}

function compareChains(
  chains: Map<string, OwnCopy>,
  heads: Map<string, Head>,
  rootKey: Uint8Array,
  faults: Fault[],
): Unsent[] {
  return [...chains].flatMap(([producer, { records, sent }]) => {
    const head = heads.get(producer)
    const name = head ? `node ${head.name}` : `producer ${producer}`
    const onStream = head?.next ?? 0
    if (sent > onStream) {
      faults.push({
        place: `record ${onStream} of ${name}`,
        what: `the stream ends here; it had ${sent} records of ${name}`,
      })
    }
    if (records.length < onStream) {
      faults.push({
        place: `record ${records.length} of ${name}`,
        what: `the node's own chain file ends here; the stream holds ${onStream}`,
      })
    }
    for (const [index, bytes] of records.slice(0, onStream).entries()) {
      const place = `record ${index} of ${name} (its own chain file)`
      const record = attempt(() => readRecord(bytes), place, faults)
      const expected = head?.hashes[index]
      if (record && expected && !sameBytes(expected, record.hash))
        faults.push({ place, what: 'the stream holds another record in its place' })
    }
    const rest = continuation(producer, records.slice(onStream), heads, rootKey, faults)
    return sent > onStream || rest.length === 0
      ? []
      : [{ producer, name: heads.get(producer)?.name ?? producer, records: rest }]
  })
}

/** What a node wrote after that which the stream holds must go on from there, like any record. */
function continuation(
  producer: string,
  records: Uint8Array[],
  heads: Map<string, Head>,
  rootKey: Uint8Array,
  faults: Fault[],
): ReadRecord[] {
  const place = `the own chain file of producer ${producer}`
  return records.flatMap((bytes) => {
    const record = attempt(() => readRecord(bytes), place, faults)
    if (!record) return []
    if (record.producer !== producer) {
      faults.push({ place, what: `a record of another producer, ${record.producer}, stands in it` })
      return []
    }
    const head = headOf(record, heads, rootKey, place, faults)
    if (!head) return []
    const here = `record ${record.number} of node ${head.name} (its own chain file)`
    if (!follow(record, head, here, faults)) faults.push({ place: here, what: 'it stands here a second time' })
    return [record]
  })
}

function attempt<T>(read: () => T, place: string, faults: Fault[]): T | undefined {
  try {
    return read()
  } catch (error) {
    faults.push({ place, what: ClawmeshError.from(error).message })
    return undefined
  }
}
