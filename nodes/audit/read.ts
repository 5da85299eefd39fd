/** The events of a trail in the order of the stream: verified as they are read, opened when they are looked at. */
import type { DatedEvent } from '../../mesh/audit/event.js'
import { Opener } from '../../mesh/audit/opener.js'
import { type Fault, type Taken, TrailReader, type TrailRecord } from '../../mesh/audit/reader.js'
import type { ReadRecord } from '../../mesh/audit/record.js'
import type { Authority } from '../../mesh/seal/authority.js'
import { hex } from '../../mesh/seal/keys.js'
import { cut } from '../../mesh/transport/nats-log.js'
import type { AppendLog, Stored } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Place } from './opening.js'

export interface TrailEvent {
  /** The stream message that it stands in. */
  readonly sequence: number
  /** The node's name, by its certificate. */
  readonly node: string
  /** The record that it stands in, with others. */
  readonly record: TrailRecord
  /** Its place there, from 0. */
  readonly index: number
  /** `event.unreadable` in its place where the record does not open, or holds what is no event: one member must not end everybody's reading. `verify` calls it a fault. */
  open(): DatedEvent
}

/** The same wherever the event turns up: the hash of its record, and its place there. */
export const eventId = ({ record, index }: TrailEvent): string => `${hex(record.hash)}.${index}`

/** Of all events of a record. */
export const eventIds = ({ hash, count }: ReadRecord): string[] => {
  const record = hex(hash)
  return Array.from({ length: count }, (_, index) => `${record}.${index}`)
}

/** The record as it stands on the stream, in base64: with the first of its events, for all of them. */
export const rawRecord = ({ record, index }: TrailEvent): string | undefined =>
  index === 0 ? Buffer.from(record.bytes).toString('base64') : undefined

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

type StrictOptions = ReadOptions & { throwIfFaulty(): void }

/**
 * The new events of one stream message or more at a time; the reader's state is then that at their end. Throws AUDIT_BROKEN at the first fault, before
 * anything of that message is given out.
 */
export async function* readTrail(options: StrictOptions): AsyncGenerator<TrailEvent[]> {
  const { log, authority, reader, after, follow } = options
  const last = await log.last()
  if (last < after) throw cut(last, after)
  const opener = new Opener(authority.auditor, authority.subjects)
  // The message that was read last is read again: it may have been left in the middle, and it must still be the same one.
  let expected = Math.max(after, 1)
  for await (const window of windows(log, expected, follow)) {
    const begin = expected
    const gap = window.findIndex(({ sequence }, index) => sequence !== begin + index)
    const messages = gap < 0 ? window : window.slice(0, gap)
    const whole = reader.takeWhole(messages)
    if (whole?.length) yield eventsOf(whole, opener)
    else if (!whole) yield* untilFault(messages, options, opener)
    const stranger = window[messages.length]
    if (stranger) throw missing(expected + messages.length, stranger)
    expected += messages.length
  }
}

/** What is there is read in large pieces, and each verified at once; what comes later is given out as it comes. */
async function* windows(log: AppendLog, from: number, follow: AbortSignal | undefined): AsyncGenerator<Stored[]> {
  let next = from
  let window: Stored[] = []
  let bytes = 0
  for await (const message of log.read(from)) {
    if (follow?.aborted) return
    window.push(message)
    bytes += message.bytes.length
    next = message.sequence + 1
    if (window.length < windowMessages && bytes < windowBytes) continue
    yield window
    window = []
    bytes = 0
  }
  if (window.length > 0) yield window
  if (follow) for await (const message of log.follow(next, follow)) yield [message]
}

/** A window is one piece of work, and the program does nothing else meanwhile: some tens of milliseconds. */
const windowMessages = 256
const windowBytes = 512 * 1024

/** What stands before the first fault is given out, message by message; there it ends. */
function* untilFault(messages: Stored[], { reader, throwIfFaulty }: StrictOptions, opener: Opener) {
  for (const message of messages) {
    const records = reader.take([message])
    throwIfFaulty()
    yield eventsOf(
      records.map((record) => ({ sequence: message.sequence, record })),
      opener,
    )
  }
}

/** Without an opener they can be told apart, and not opened. */
export function eventsOf(taken: Taken[], opener: Opener | undefined): TrailEvent[] {
  return taken.flatMap(({ sequence, record }) => {
    let opened: DatedEvent[] | undefined
    return Array.from({ length: record.count }, (_, index) => ({
      sequence,
      node: record.epoch.certificate.name,
      record,
      index,
      open: () => {
        if (!opener) throw new ClawmeshError('DENIED', "To open an event takes the auditors' key.")
        const event = opened?.[index]
        // What a person's key opened is not shown on when that is gone.
        if (!opened || (event && opener.isErased(event))) opened = openEvents(record, opener)
        return opened[index] as DatedEvent
      },
    }))
  })
}

function openEvents(record: TrailRecord, opener: Opener): DatedEvent[] {
  try {
    return opener.open(record)
  } catch (error) {
    const { code, message } = ClawmeshError.from(error)
    if (code === 'AUDIT_UNAVAILABLE') throw error
    const { time, count, epoch } = record
    const facts = { reason: message }
    const actor = `node/${epoch.certificate.name}`
    return Array.from({ length: count }, () => ({ time, kind: 'event.unreadable', trace: '', actor, facts }))
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

/** Where reading begins for who wants no event before some stream message, or some time. */
export interface From {
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly since: number
}

export const isFrom = ({ sequence, since }: From, event: TrailEvent): boolean =>
  event.sequence >= sequence && event.open().time >= since

/** The place right before the first message with such an event, found by reading and verifying all that comes before it; the end of the trail where there is none yet. */
export async function placeBefore(
  { log, authority }: Pick<ReadOptions, 'log' | 'authority'>,
  from: From,
): Promise<Place> {
  // One message at a time, so that the reader's state is that of every place.
  const single: AppendLog = {
    append: (...args) => log.append(...args),
    last: () => log.last(),
    read: async function* () {},
    follow: (next) => log.read(next),
  }
  const { reader, throwIfFaulty } = strictReader(authority.root.publicKey)
  const follow = new AbortController().signal
  let place: Place = { after: 0, heads: reader.state() }
  for await (const events of readTrail({ log: single, authority, reader, after: 0, throwIfFaulty, follow })) {
    if (events.some((event) => isFrom(from, event))) return place
    place = { after: events.at(-1)?.sequence ?? place.after, heads: reader.state() }
  }
  return place
}
