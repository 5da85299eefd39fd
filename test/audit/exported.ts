/** What an export holds, held against the stream it came from. */
import { readFileSync } from 'node:fs'
import { addressesOf } from '../../mesh/address.js'
import { verifyTrail } from '../../mesh/audit/verify.js'
import type { Authority } from '../../mesh/seal/authority.js'
import type { AppendLog, Stored, Transport } from '../../mesh/transport/transport.js'
import { eventFiles } from '../../nodes/audit/event-file.js'
import { eventIds } from '../../nodes/audit/read.js'

export async function allOf(log: AppendLog): Promise<Stored[]> {
  const stored: Stored[] = []
  for await (const message of log.read()) stored.push(message)
  return stored
}

/** The log as it was when this message was its last. */
export const shortened = (log: AppendLog, last: number): AppendLog => ({
  append: (subject, id, bytes) => log.append(subject, id, bytes),
  last: async () => Math.min(last, await log.last()),
  follow: (from, signal) => log.follow(from, signal),
  read: async function* (from) {
    for await (const message of log.read(from)) {
      if (message.sequence > last) return
      yield message
    }
  },
})

/** Ids of all events, in the order of the stream. */
export async function idsOn(transport: Transport, authority: Authority): Promise<string[]> {
  const { auditStream } = addressesOf(authority.mesh, authority.meshKey)
  const stored = await allOf(transport.log(auditStream))
  const { records, faults } = verifyTrail({ stored, checkpoints: [], chains: new Map() }, authority.root.publicKey)
  if (faults[0]) throw new Error(`${faults[0].place}: ${faults[0].what}`)
  return records.flatMap(eventIds)
}

/** Ids of all events in the files of a JSONL export, in their order. */
export function idsIn(path: string): string[] {
  return eventFiles(path)
    .flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as { id?: string })
    .flatMap(({ id }) => (id === undefined ? [] : [id]))
}

/** What is wrong with `found`; empty if it is `wanted`. */
export function compare(found: string[], wanted: string[]): string[] {
  const places = new Map(wanted.map((id, place) => [id, place]))
  const seen = new Set(found)
  const missed = wanted.filter((id) => !seen.has(id)).length
  const doubled = found.length - seen.size
  const strange = [...seen].filter((id) => !places.has(id)).length
  const isOrdered = found.every((id, at) => at === 0 || (places.get(found[at - 1] ?? '') ?? 0) <= (places.get(id) ?? 0))
  return [
    ...(missed > 0 ? [`${missed} events missed`] : []),
    ...(doubled > 0 ? [`${doubled} events doubled`] : []),
    ...(strange > 0 ? [`${strange} events that are not on the stream`] : []),
    ...(isOrdered ? [] : ['events out of order']),
  ]
}
