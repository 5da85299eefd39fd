/** How exported events are written, one a line. The first of a record's events carries the record, whole and signed, so a file proves itself and says how far it got. */
import { z } from 'zod'
import { type DatedEvent, eventKinds } from '../../mesh/audit/event.js'
import { ClawmeshError } from '../../policies/errors.js'
import { ocsfEvent, ocsfOpening } from './ocsf.js'
import { type Opening, openingSchema } from './opening.js'
import { eventId, rawRecord, type TrailEvent } from './read.js'

export interface Format {
  readonly name: 'jsonl' | 'ocsf'
  opening(opening: Opening, time: number): object
  event(event: TrailEvent): object
  /** Reads a line back. Throws if it is not one of this format's. */
  read(line: string): { opening: Opening } | EventLine
  /** What the line of an event says happened. Throws for one that says no such thing. */
  said(readable: unknown): DatedEvent
  /** Without what another version of clawmesh would write otherwise. */
  lasting(readable: unknown): unknown
}

/** What a line says of where its event stood. */
export interface EventLine {
  sequence: number
  id: string
  /** With the first event of a record. */
  record: Uint8Array | undefined
  /** What stands beside it for people and programs, with all of it. */
  readable: unknown
}

/** One plain object for each event, for programs of one's own. */
export function plainEvent(event: TrailEvent): Record<string, unknown> {
  const { sequence, node, record, index } = event
  const { time, kind, trace, actor, facts, subject } = event.open()
  const about = subject === undefined ? {} : { subject }
  const place = { sequence, node, producer: record.producer, number: record.number, index }
  return { ...place, time: new Date(time).toISOString(), kind, trace, actor, ...about, facts }
}

const jsonlLine = z.union([
  z.object({ opening: openingSchema }),
  z.object({ sequence: z.number().int(), id: z.string(), record: z.base64().optional() }),
])

const kind = z.enum(eventKinds)
const facts = z.record(z.string(), z.unknown())
const subject = z.string().exactOptional()

const jsonlSaid = z.object({
  time: z.iso.datetime().transform(Date.parse),
  ...{ kind, trace: z.string(), actor: z.string(), subject, facts },
})

const jsonl: Format = {
  name: 'jsonl',
  opening: (opening, time) => ({ opening, time: new Date(time).toISOString() }),
  event: (event) => ({ ...plainEvent(event), id: eventId(event), record: rawRecord(event) }),
  read: (line) => {
    const readable: unknown = JSON.parse(line)
    const read = jsonlLine.parse(readable)
    return 'opening' in read ? read : { ...read, record: fromBase64(read.record), readable }
  },
  said: (readable) => jsonlSaid.parse(readable),
  lasting: (readable) => readable,
}

const ocsfLine = z.union([
  z.object({ unmapped: z.object({ opening: openingSchema }) }),
  z.object({ metadata: z.object({ sequence: z.number().int(), uid: z.string() }), raw_data: z.base64().optional() }),
])

const ocsfSaid = z
  .object({
    time: z.number(),
    metadata: z.object({ event_code: kind, correlation_uid: z.string().default('') }),
    unmapped: z.object({ actor: z.string(), subject, facts }),
  })
  .transform(({ time, metadata, unmapped }) => ({
    ...{ time, kind: metadata.event_code, trace: metadata.correlation_uid },
    ...unmapped,
  }))

const versionedSchema = z.looseObject({ metadata: z.looseObject({ product: z.unknown() }) })

const ocsf: Format = {
  name: 'ocsf',
  opening: ocsfOpening,
  event: ocsfEvent,
  read: (line) => {
    const readable: unknown = JSON.parse(line)
    const read = ocsfLine.parse(readable)
    if ('unmapped' in read) return { opening: read.unmapped.opening }
    const { sequence, uid: id } = read.metadata
    return { sequence, id, record: fromBase64(read.raw_data), readable }
  },
  said: (readable) => ocsfSaid.parse(readable),
  lasting: (readable) => {
    const { metadata, ...rest } = versionedSchema.parse(readable)
    return { ...rest, metadata: { ...metadata, product: undefined } }
  },
}

export const formats: readonly Format[] = [jsonl, ocsf]

export function formatNamed(name: string): Format {
  const found = formats.find((format) => format.name === name)
  if (found) return found
  throw new ClawmeshError('USAGE', `"${name}" is no format.`, {
    hint: `Formats: ${formats.map((format) => format.name).join(', ')}.`,
  })
}

const fromBase64 = (text: string | undefined) =>
  text === undefined ? undefined : new Uint8Array(Buffer.from(text, 'base64'))
