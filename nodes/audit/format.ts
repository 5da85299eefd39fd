/** How exported events are written, one a line. Each line carries the whole signed record, so a file proves itself and says how far it got. */
import { z } from 'zod'
import { hex } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import { ocsfEvent, ocsfOpening } from './ocsf.js'
import { type Opening, openingSchema } from './opening.js'
import { rawRecord, type TrailEvent } from './read.js'

export interface Format {
  readonly name: 'jsonl' | 'ocsf'
  opening(opening: Opening, time: number): object
  event(event: TrailEvent): object
  /** Reads a line back. Throws if it is not one of this format's. */
  read(line: string): { opening: Opening } | { sequence: number; record: Uint8Array }
}

/** One plain object for each event, for programs of one's own. */
export function plainEvent(event: TrailEvent): Record<string, unknown> {
  const { sequence, node, record } = event
  const { kind, trace, actor, facts } = event.open()
  const { producer, number, time } = record
  return { sequence, node, producer, number, time: new Date(time).toISOString(), kind, trace, actor, facts }
}

const jsonlLine = z.union([
  z.object({ opening: openingSchema }),
  z.object({ sequence: z.number().int(), record: z.base64() }),
])

const jsonl: Format = {
  name: 'jsonl',
  opening: (opening, time) => ({ opening, time: new Date(time).toISOString() }),
  event: (event) => ({ ...plainEvent(event), hash: hex(event.record.hash), record: rawRecord(event) }),
  read: (line) => {
    const read = jsonlLine.parse(JSON.parse(line))
    return 'opening' in read ? read : { sequence: read.sequence, record: fromBase64(read.record) }
  },
}

const ocsfLine = z.union([
  z.object({ unmapped: z.object({ opening: openingSchema }) }),
  z.object({ metadata: z.object({ sequence: z.number().int() }), raw_data: z.base64() }),
])

const ocsf: Format = {
  name: 'ocsf',
  opening: ocsfOpening,
  event: ocsfEvent,
  read: (line) => {
    const read = ocsfLine.parse(JSON.parse(line))
    if ('unmapped' in read) return { opening: read.unmapped.opening }
    return { sequence: read.metadata.sequence, record: fromBase64(read.raw_data) }
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

const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
