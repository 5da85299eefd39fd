/** `audit checkpoint` and `audit prove` on a mesh that runs. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { checkProof, proofSchema } from '../../mesh/audit/proof.js'
import { eventId, readTrail, strictReader } from '../../nodes/audit/read.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { auditCheckpoint, auditProve } from '../../nodes/cli/audit/prove.js'
import { temporaryFolder } from '../kit/mesh.js'
import { beginSite } from './site.js'

const data = temporaryFolder()
after(() => rmSync(data, { recursive: true, force: true }))

it('an event of a mesh that runs is proved as soon as the authority has vouched for it', async () => {
  const { site, close } = await beginSite(data)
  try {
    await site.node.audit.intend({ kind: 'task.started', trace: 't', actor: 'me', facts: { request: 'PRIVATE' } })
    const { authority, log, close: release } = (await openLiveSource(data)) ?? assert.fail('it does not run')
    const ids: string[] = []
    for await (const events of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) }))
      ids.push(...events.filter((event) => event.open().kind === 'task.started').map(eventId))
    await release()
    const [id] = ids
    const to = join(data, 'proof.json')
    await assert.rejects(auditProve.run(id, { data, to }), /No checkpoint covers/)
    assert.equal(await auditCheckpoint.run(undefined, { data }), 0)
    assert.equal(await auditProve.run(id, { data, to }), 0)
    const proof = proofSchema.parse(JSON.parse(readFileSync(to, 'utf8')))
    const { hash, node, events } = checkProof(proof, authority.root.publicKey)
    assert.equal(`${hash}.0`, id)
    assert.equal(node, 'operator')
    assert.equal(events, undefined)
    assert.ok(!readFileSync(to, 'utf8').includes('PRIVATE'))
    await auditProve.run(id, { data, to, disclose: true })
    const disclosed = checkProof(proofSchema.parse(JSON.parse(readFileSync(to, 'utf8'))), authority.root.publicKey)
    assert.deepEqual(disclosed.events?.[0]?.facts, { request: 'PRIVATE' })
    await assert.rejects(auditProve.run('0'.repeat(64), { data, to }), /There is no event/)
  } finally {
    const { verdict } = await close()
    assert.deepEqual(verdict.faults, [])
  }
})
