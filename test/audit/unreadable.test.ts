/** Events that a certified member makes badly: they end nobody's reading, and `verify` calls them a fault. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Packr } from 'msgpackr/index-no-eval'
import { addressesOf } from '../../mesh/address.js'
import { packEvent } from '../../mesh/audit/event.js'
import { Opener } from '../../mesh/audit/opener.js'
import { Sealer } from '../../mesh/audit/sealer.js'
import { verifyTrail } from '../../mesh/audit/verify.js'
import { encode } from '../../mesh/codec.js'
import { createAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { MemoryBroker } from '../../mesh/transport/memory.js'
import type { Stored } from '../../mesh/transport/transport.js'
import { formats, plainEvent } from '../../nodes/audit/format.js'
import { readTrail, strictReader } from '../../nodes/audit/read.js'

const event = (facts: Record<string, unknown>) => ({ kind: 'actor.crashed' as const, trace: '', actor: 'a', facts })
const asPacked = (facts: unknown, packr: Packr) => new Uint8Array(packr.pack([1, 'actor.crashed', '', 'a', facts]))

/** What is small in a record and cannot be written out, or only at a length that nobody has room for. */
const circle: Record<string, unknown> = {}
circle['self'] = circle
const laughs = Array.from({ length: 40 }).reduce<unknown[]>((inner) => [inner, inner], [])
const references = new Packr({ useRecords: false, structuredClone: true })
const bad: Record<string, Uint8Array> = {
  'a time that no Date holds': packEvent(1e300, event({})),
  'a kind that there is not': encode([1, 'made.up', '', 'a', {}]),
  'a big integer': asPacked({ n: new BigInt64Array([1n]) }, new Packr({ useRecords: false, moreTypes: true })),
  'a circle': asPacked(circle, references),
  'what a billion references make long': asPacked({ laughs }, references),
}

it('an event that cannot be read is told as one, with all that comes after it', async () => {
  const authority = createAuthority()
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const log = new MemoryBroker().connect().log(addresses.auditStream)
  const credentials = enrol(authority, { name: 'traitor', roles: ['worker'] }, Date.now())
  const sealer = new Sealer(credentials, 0, undefined)
  const named = packEvent(1, event({ name: { toString: 'no function' } }))
  const records: Uint8Array[] = []
  for (const packed of [...Object.values(bad), named]) sealer.seal([packed], 1e300, (record) => records.push(record))
  for (const [n, record] of records.entries())
    await log.append(addresses.audit(credentials.certificate.holder), `${n}`, encode([record]))

  const kinds: unknown[] = []
  for await (const events of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) }))
    for (const one of events) {
      kinds.push(plainEvent(one)['kind'])
      for (const format of formats) assert.doesNotThrow(() => JSON.stringify(format.event(one)))
    }
  assert.deepEqual(kinds, [...Object.keys(bad).map(() => 'event.unreadable'), 'actor.crashed'])

  const stored: Stored[] = []
  for await (const message of log.read()) stored.push(message)
  const { faults, records: taken } = verifyTrail(
    { stored, checkpoints: [], chains: new Map() },
    authority.root.publicKey,
  )
  assert.deepEqual(faults, [])
  const opener = new Opener(authority.auditor)
  for (const [n, what] of Object.keys(bad).entries())
    assert.throws(() => opener.open(taken[n] ?? assert.fail()), { code: 'AUDIT_BROKEN' }, what)
})
