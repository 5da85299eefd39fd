/** The audit stream of a mesh, as its auditor reads it. */
import { addressesOf } from '../../mesh/address.js'
import type { AuditEvent } from '../../mesh/audit/event.js'
import { Opener } from '../../mesh/audit/opener.js'
import { TrailReader } from '../../mesh/audit/reader.js'
import type { Stored, Transport } from '../../mesh/transport/transport.js'
import type { TestMesh } from './mesh.js'

/** In the order of the stream. `records` reads it; a connection of some member, where that may. */
export async function auditEvents({ authority, connect }: TestMesh, records?: Transport): Promise<AuditEvent[]> {
  const transport = records ?? (await connect())
  const stored: Stored[] = []
  for await (const message of transport.log(addressesOf(authority.mesh, authority.meshKey).auditStream).read())
    stored.push(message)
  if (!records) await transport.close()
  const opener = new Opener(authority.auditor, authority.subjects)
  return new TrailReader(authority.root.publicKey, []).take(stored).flatMap((record) => opener.open(record))
}
