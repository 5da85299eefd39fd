/**
 * Whether what an export says in the clear is what the records beside it hold. Who has the auditors' key can tell of all of it; without it only what stands outside the seal
 * can be: node, producer, number and place of an event, and that a line does not contradict itself.
 */
import { isDeepStrictEqual } from 'node:util'
import { erasedFacts } from '../../mesh/audit/facts.js'
import type { Opener } from '../../mesh/audit/opener.js'
import type { TrailRecord } from '../../mesh/audit/reader.js'
import type { EventLine, Format } from './format.js'
import { eventsOf, type TrailEvent } from './read.js'

/** The first line that says something else than its record; undefined if none does. `lines`: those of these records, in their order. */
export function falseLine<T extends EventLine>(
  lines: readonly T[],
  records: readonly TrailRecord[],
  format: Format,
  opener: Opener | undefined,
): T | undefined {
  let at = 0
  for (const record of records)
    for (const event of eventsOf([{ sequence: 0, record }], opener)) {
      const line = lines[at++]
      if (line && !isTrue(line, event, format, opener !== undefined)) return line
    }
  return undefined
}

function isTrue({ sequence, readable }: EventLine, event: TrailEvent, format: Format, isOpened: boolean): boolean {
  try {
    const said = format.said(readable)
    const held = isOpened ? event.open() : said
    // Of a person who was erased since, nobody can say any more what was said.
    const open = () => (held.facts === erasedFacts ? { ...held, facts: said.facts } : held)
    const wanted: unknown = JSON.parse(JSON.stringify(format.event({ ...event, sequence, open })))
    return isDeepStrictEqual(format.lasting(wanted), format.lasting(readable))
  } catch {
    return false
  }
}
