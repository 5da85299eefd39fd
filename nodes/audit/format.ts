/** How exported events are written, one a line. The first of a record's events carries the record, whole and signed, so a file proves itself and says how far it got. */
import { z } from 'zod'
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
}

/** What a line says of where its event stood. */
export interface EventLine {
  sequence: number
  id: string
  /** With the first event of a record. */
  record: Uint8Array | undefined
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

const jsonl: Format = {
  name: 'jsonl',
  opening: (opening, time) => ({ opening, time: new Date(time).toISOString() }),
  event: (event) => ({ ...plainEvent(event), id: eventId(event), record: rawRecord(event) }),
  read: (line) => {
    const read = jsonlLine.parse(JSON.parse(line))
    return 'opening' in read ? read : { ...read, record: fromBase64(read.record) }
  },
}

const ocsfLine = z.union([
  z.object({ unmapped: z.object({ opening: openingSchema }) }),
  z.object({ metadata: z.object({ sequence: z.number().int(), uid: z.string() }), raw_data: z.base64().optional() }),
])

const ocsf: Format = {
  name: 'ocsf',
  opening: ocsfOpening,
  event: ocsfEvent,
  read: (line) => {
    const read = ocsfLine.parse(JSON.parse(line))
    if ('unmapped' in read) return { opening: read.unmapped.opening }
    return { sequence: read.metadata.sequence, id: read.metadata.uid, record: fromBase64(read.raw_data) }
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
