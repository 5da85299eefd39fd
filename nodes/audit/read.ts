/** The events of a trail in the order of the stream: verified as they are read, opened when they are looked at. */
import { type AuditEvent, openEvent } from '../../mesh/audit/event.js'
import { type Fault, TrailReader } from '../../mesh/audit/reader.js'
import type { ReadRecord } from '../../mesh/audit/record.js'
import { encode } from '../../mesh/codec.js'
import type { Authority } from '../../mesh/seal/authority.js'
import { cut } from '../../mesh/transport/nats-log.js'
import type { AppendLog, Stored } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'

export interface TrailEvent {
  /** The stream message that it stands in. */
  readonly sequence: number
  /** The node's name, by its certificate. */
  readonly node: string
  readonly record: ReadRecord
  /** Throws AUDIT_BROKEN if the auditor's key does not open it. */
  open(): AuditEvent
}

/** The signed record as it stands on the stream, in base64. */
export const rawRecord = ({ record }: TrailEvent): string =>
  Buffer.from(encode([record.body, record.signature])).toString('base64')

export interface ReadOptions {
  log: AppendLog
  authority: Authority
  /** Knows the chains as far as `after`. */
  reader: TrailReader
  /** The last stream message that was read before, perhaps not to its end; 0 for none. */
  after: number
  /** Goes on with what comes, until the signal. */
  follow?: AbortSignal
}

/** A reader that stops at the first fault: call `throwIfFaulty` after each use. */
export function strictReader(rootKey: Uint8Array): { reader: TrailReader; throwIfFaulty(): void } {
  const faults: Fault[] = []
  const throwIfFaulty = () => {
    const [first] = faults
    if (!first) return
    throw new ClawmeshError('AUDIT_BROKEN', `${first.place}: ${first.what}.`, {
      hint: 'Nothing of that place or after it was given out. `clawmesh audit verify` shows all that is wrong.',
    })
  }
  return { reader: new TrailReader(rootKey, faults), throwIfFaulty }
}

/** The new events of each stream message that has any. Throws AUDIT_BROKEN at the first fault, before anything of that message is given out. */
export async function* readTrail(options: ReadOptions & { throwIfFaulty(): void }): AsyncGenerator<TrailEvent[]> {
  const { log, authority, reader, after, follow, throwIfFaulty } = options
  const last = await log.last()
  if (last < after) throw cut(last, after)
  // The message that was read last is read again: it may have been left in the middle, and it must still be the same one.
  const from = Math.max(after, 1)
  let expected = from
  for await (const message of follow ? log.follow(from, follow) : log.read(from)) {
    if (message.sequence !== expected) throw missing(expected, message)
    expected += 1
    const records = reader.take(message)
    throwIfFaulty()
    if (records.length === 0) continue
    yield records.map((record) => ({
      sequence: message.sequence,
      node: reader.nameOf(record.producer),
      record,
      open: () => openEvent(record.sealed, authority.auditor),
    }))
  }
}

function missing(expected: number, { sequence }: Stored): ClawmeshError {
  return new ClawmeshError(
    'AUDIT_BROKEN',
    `Stream message ${expected} is missing; the next one there is ${sequence}.`,
    {
      hint: 'The stream allows no deletes, so its store was damaged or changed. Run `clawmesh audit verify`.',
    },
  )
}
