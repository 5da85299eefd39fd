/** The audit stream of a mesh, as its auditor reads it. */
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { type AuditEvent, openEvent } from '../../mesh/audit/event.js'
import { readRecord } from '../../mesh/audit/record.js'
import { decode } from '../../mesh/codec.js'
import type { Transport } from '../../mesh/transport/transport.js'
import type { TestMesh } from './mesh.js'

const batchSchema = z.array(z.instanceof(Uint8Array))

/** In the order of the stream. `records` reads it; a connection of some member, where that may. */
export async function auditEvents({ authority, connect }: TestMesh, records?: Transport): Promise<AuditEvent[]> {
  const transport = records ?? (await connect())
  const events: AuditEvent[] = []
  const { auditStream } = addressesOf(authority.mesh, authority.meshKey)
  for await (const { bytes } of transport.log(auditStream).read())
    for (const record of batchSchema.parse(decode(bytes)))
      events.push(openEvent(readRecord(record).sealed, authority.auditor))
  if (!records) await transport.close()
  return events
}
