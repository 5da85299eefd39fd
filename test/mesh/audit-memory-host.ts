/** A node's audit writer in a process of its own: writes events to the chain file, one record each, says "written" and stays, as a node would. */
import { addressesOf } from '../../mesh/address.js'
import { openChain } from '../../mesh/audit/chain.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { readCredentials } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'

const [, , credentialsFile = '', chainFile = '', count = ''] = process.argv
const credentials = readCredentials(credentialsFile, undefined)
const addresses = addressesOf(credentials.mesh, credentials.meshKey)
const log = new MemoryBroker().connect().log(addresses.auditStream)
const writer = new AuditWriter({ credentials, addresses, log, chain: openChain(chainFile), now: Date.now })
for (let n = 0; n < Number(count); n += 1) {
  await writer.record({ kind: 'thought.asked', trace: '', actor: 'worker', facts: { n, words: 'x'.repeat(300) } })
  // What a working node does between two events: the collector of garbage moves what it finds small and young.
  Array.from({ length: 2000 }, (_, index) => ({ index, text: `${index}` }))
}
process.stdout.write('written\n')
setInterval(() => undefined, 60_000)
