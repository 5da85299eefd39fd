/** A trail as nodes write it, in memory, for tests that damage it. */
import { join } from 'node:path'
import { addressesOf } from '../../mesh/address.js'
import { type OwnCopy, openChain, readChain } from '../../mesh/audit/chain.js'
import { readCheckpoints, writeCheckpoint } from '../../mesh/audit/checkpoint.js'
import { type Trail, verifyTrail } from '../../mesh/audit/verify.js'
import { AuditWriter } from '../../mesh/audit/writer.js'
import { type Authority, createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { AppendLog, Stored } from '../../mesh/transport/transport.js'

export const eventOf = (n: number) => ({
  kind: 'thought.asked' as const,
  trace: 'task',
  actor: 'worker-1',
  facts: { n },
})

/** Two producers, a few records each, of one event and of three, with a checkpoint in the middle. */
export async function makeTrail(folder: string): Promise<{ authority: Authority; trail: Trail }> {
  const authority = createAuthority()
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const log = new MemoryBroker().connect().log(addresses.auditStream)
  const chains = new Map<string, OwnCopy>()
  const writers = ['one', 'two'].map((name) => {
    const path = join(folder, `${name}.chain`)
    const credentials = enrol(authority, { name, roles: ['worker'] }, Date.now())
    const writer = new AuditWriter({ credentials, addresses, log, chain: openChain(path), now: Date.now })
    return {
      writer,
      refresh: () => chains.set(credentials.certificate.holder, readChain(path)),
    }
  })
  const file = join(folder, 'checkpoints.jsonl')
  for (const half of [0, 1]) {
    for (const [index, { writer }] of writers.entries()) {
      await writer.intend(eventOf(half * 10 + index))
      await Promise.all([1, 2, 3].map((n) => writer.record(eventOf(half * 10 + index + n))))
      await writer.flush(60_000)
    }
    if (half === 0) {
      const { records } = verifyTrail(
        { stored: await all(log), checkpoints: [], chains: new Map() },
        authority.root.publicKey,
      )
      writeCheckpoint(
        { checkpoints: file, newestCheckpoint: join(folder, 'newest-checkpoint.json') },
        records.map(({ hash }) => hash),
        authority.root,
        Date.now(),
      )
    }
  }
  for (const { refresh } of writers) refresh()
  return {
    authority,
    trail: { stored: await all(log), checkpoints: readCheckpoints(file, authority.root.publicKey), chains },
  }
}

export async function all(log: AppendLog): Promise<Stored[]> {
  const stored: Stored[] = []
  for await (const message of log.read()) stored.push(message)
  return stored
}
