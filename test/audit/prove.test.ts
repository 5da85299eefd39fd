/** `audit checkpoint` and `audit prove` on a mesh that runs. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { checkProof, proofSchema } from '../../mesh/audit/proof.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { hex } from '../../mesh/seal/keys.js'
import { eventId, readTrail, strictReader } from '../../nodes/audit/read.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { auditExport } from '../../nodes/cli/audit/export.js'
import { provedText, verifyExport } from '../../nodes/cli/audit/exported.js'
import { auditCheckpoint, auditProve } from '../../nodes/cli/audit/prove.js'
import type { Values } from '../../nodes/cli/command.js'
import type { ClawmeshError } from '../../policies/errors.js'
import { temporaryFolder } from '../kit/mesh.js'
import { beginSite } from './site.js'

const data = temporaryFolder()
after(() => rmSync(data, { recursive: true, force: true }))

it('an export is held against the checkpoints where they are at hand: a cut end is noticed, and elsewhere it is said that nobody can tell', async () => {
  const data = temporaryFolder()
  const { site, close } = await beginSite(data)
  const to = join(data, 'events.jsonl')
  const found = (values: Values) => verifyExport(to, { root, ...values })
  let root = ''
  try {
    for (let n = 0; n < 5; n += 1)
      await site.node.audit.intend({ kind: 'task.started', trace: 't', actor: 'me', facts: { n } })
    root = hex(openAuthority(join(data, 'authority'), Date.now()).root.publicKey)
    assert.equal(await auditExport.run(undefined, { data, to }), 0)
    assert.match(provedText(found({ data })), /up to where it ends.*cannot be judged: no checkpoint/s)
    assert.equal(await auditCheckpoint.run(undefined, { data }), 0)
    await site.node.audit.intend({ kind: 'task.started', trace: 't', actor: 'me', facts: { n: 5 } })
    assert.equal(await auditExport.run(undefined, { data, to }), 0)
    const whole = found({ data })
    assert.ok(whole.vouched !== undefined && whole.vouched >= 5 && whole.vouchedAt !== undefined)
    assert.match(provedText(whole), /all that the authority vouched for last/)
    const lines = readFileSync(to, 'utf8').split('\n')
    const begins = lines.flatMap((line, at) => (line !== '' && JSON.parse(line).record ? [at] : []))
    writeFileSync(to, `${lines.slice(0, begins[whole.vouched]).join('\n')}\n`)
    const cut = found({ data })
    assert.ok(cut.records < whole.records && cut.vouched === cut.records)
    assert.match(provedText(cut), /whole up to where it ends.*whether there was more, and it was cut off, cannot be/s)
    writeFileSync(to, `${lines.slice(0, 4).join('\n')}\n`)
    assert.throws(
      () => found({ data }),
      /is not all of the trail: it ends after \d+ records, and the authority vouched for/,
    )
    assert.match(provedText(found({})), /whole up to where it ends.*Whether its end was cut off cannot be judged/s)
    assert.equal(found({}).torn, 0)
    writeFileSync(
      to,
      lines
        .slice(0, 4)
        .join('\n')
        .concat('\n', lines[4]?.slice(0, 20) ?? ''),
    )
    assert.equal(found({}).torn, 20)
    assert.match(provedText(found({})), /Behind its last whole record stand 20 bytes of another/)
    const isPasted = ({ hint }: ClawmeshError) => hint.endsWith(': clawmesh audit key')
    assert.throws(() => found({ root: '' }), isPasted)
  } finally {
    await close()
    rmSync(data, { recursive: true, force: true })
  }
})

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
