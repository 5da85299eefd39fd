import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RouterSession } from '../../router/session.js'
import { MemoryTrail } from './kit.js'

const raised = (trail = new MemoryTrail()) => {
  const session = new RouterSession(trail, 'task-1')
  session.raise({ label: 'RESTRICTED', categories: ['PHI'] })
  return { session, trail }
}

describe("a session's label", () => {
  it('rises and never falls by what enters', () => {
    const { session } = raised()
    session.raise({ label: 'PUBLIC', categories: ['PII'] })
    assert.deepEqual(session.sensitivity, { label: 'RESTRICTED', categories: ['PII', 'PHI'] })
  })

  it('is lowered by a named person, on record', async () => {
    const { session, trail } = raised()
    await session.lower({ to: 'INTERNAL', without: ['PHI'], person: 'Anna Becker', reason: 'test data' })
    assert.deepEqual(session.sensitivity, { label: 'INTERNAL', categories: [] })
    assert.deepEqual(
      trail.events.map(({ kind, actor }) => [kind, actor]),
      [['label.lowered', 'Anna Becker']],
    )
  })

  it('stays where it is if nobody is named, no reason is given, or it cannot be recorded', async () => {
    const { session, trail } = raised()
    const lowering = { to: 'PUBLIC' as const, without: ['PHI' as const], person: 'Anna', reason: 'test data' }
    await assert.rejects(session.lower({ ...lowering, person: ' ' }), { code: 'USAGE' })
    await assert.rejects(session.lower({ ...lowering, reason: '' }), { code: 'USAGE' })
    trail.failing = 'intend'
    await assert.rejects(session.lower(lowering))
    assert.equal(session.sensitivity.label, 'RESTRICTED')
    assert.deepEqual(session.sensitivity.categories, ['PHI'])
  })
})
