/**
 * Says whether an audit trail is whole, and if not, where it is not. Pure: it takes what was read and trusts only the root key.
 *
 * Seen are: a changed byte, a record put in, left out, doubled with other content, moved, cut off at either end; a chain that goes on under a key that the
 * authority did not certify; a stream that is shorter than it is known to have been, or other than at a checkpoint.
 */
import { digest, hex, sameBytes } from '../seal/keys.js'
import type { Stored } from '../transport/transport.js'
import type { OwnCopy } from './chain.js'
import type { Checkpoint } from './checkpoint.js'
import { merkleRoot } from './merkle.js'
import { type Fault, TrailReader, type TrailRecord } from './reader.js'

export interface Trail {
  /** The stream's messages, each a batch of records. */
  stored: Stored[]
  checkpoints: Checkpoint[]
  /** Producers' own chain files, as far as they are at hand: producer → its copy. */
  chains: Map<string, OwnCopy>
}

/** Records that a node has on its disk and the stream never had: a crash came between the two. */
export interface Unsent {
  producer: string
  /** The node's name, or its producer where the stream has nothing of it. */
  name: string
  records: TrailRecord[]
}

export interface Verdict {
  ok: boolean
  /** Every record of the stream in its order, repetitions left out. */
  records: TrailRecord[]
  /** How many events they hold. */
  events: number
  producers: number
  /** Records that a checkpoint covers; the rest is held by the chains alone. */
  checkpointed: number
  /** No fault: the next start sends them. */
  unsent: Unsent[]
  faults: Fault[]
}

export function verifyTrail(trail: Trail, rootKey: Uint8Array): Verdict {
  const faults: Fault[] = []
  const reader = new TrailReader(rootKey, faults)
  const records = windows(trail.stored).flatMap((messages) => reader.take(messages))
  const checkpointed = compareCheckpoints(
    trail.checkpoints,
    records.map(({ hash }) => hash),
    faults,
  )
  const events = records.reduce((sum, { count }) => sum + count, 0)
  const producers = reader.heads.size
  const unsent = [...trail.chains].flatMap(([producer, copy]) => compareChain(producer, copy, reader, faults))
  return { ok: faults.length === 0, records, events, producers, checkpointed, unsent, faults }
}

/** As many messages as are looked at one by one where something is wrong among them. */
const messagesAtOnce = 256

const windows = (stored: Stored[]): Stored[][] =>
  Array.from({ length: Math.ceil(stored.length / messagesAtOnce) }, (_, index) =>
    stored.slice(index * messagesAtOnce, (index + 1) * messagesAtOnce),
  )

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

/** Resolves to what the copy has beyond the stream, unless the stream had it once. */
function compareChain(producer: string, { records, sent }: OwnCopy, reader: TrailReader, faults: Fault[]): Unsent[] {
  const head = reader.heads.get(producer)
  const name = head ? `node ${head.epoch.certificate.name}` : `producer ${producer}`
  const onStream = head?.next ?? 0
  if (sent > onStream) {
    const what = `the stream ends here; it had ${sent} records of ${name}`
    faults.push({ place: `record ${onStream} of ${name}`, what })
  }
  if (records.length < onStream) {
    const what = `the node's own chain file ends here; the stream holds ${onStream}`
    faults.push({ place: `record ${records.length} of ${name}`, what })
  }
  for (const [index, bytes] of records.slice(0, onStream).entries()) {
    const expected = head?.hashes[index]
    if (!expected || sameBytes(expected, digest(bytes))) continue
    const place = `record ${index} of ${name} (its own chain file)`
    faults.push({ place, what: 'the stream holds another record in its place' })
  }
  const place = `own chain file of ${name}`
  const rest = reader.follow(records.slice(onStream), place)
  if (rest.length < records.length - onStream || rest.some((record) => record.producer !== producer))
    faults.push({ place, what: `it does not go on from what the stream holds` })
  if (sent > onStream || rest.length === 0) return []
  return [{ producer, name: reader.nameOf(producer), records: rest }]
}
