/** What an action connects to is told with the policy that let it, and nothing is let by one that is no longer in force. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { governedEgress } from '../../sandbox/egress/governed.js'
import { auditEvents } from '../kit/events.js'
import { memoryMesh } from '../kit/mesh.js'

test('a connection is intended under the policy of its action, and not once that has changed', async () => {
  const mesh = await memoryMesh()
  try {
    const node = await mesh.join('box', { roles: ['sandbox'] })
    let isInForce = true
    const hooks = governedEgress(node, async () => [], {
      tool: 'http_fetch',
      args: {},
      workspace: '/w',
      trace: 't',
      actor: 'sandbox/box',
      signal: new AbortController().signal,
      deadline: Number.POSITIVE_INFINITY,
      under: { policy: { name: 'strict', version: 2, digest: 'd' } },
      stillHolds: () => assert.ok(isInForce, 'changed'),
    })
    const facts = { host: 'example.org', port: 443, program: '/usr/bin/curl' }
    await hooks.intend?.(facts)
    hooks.record?.('network.ended', facts)
    const beingWritten = hooks.intend?.(facts)
    isInForce = false
    await assert.rejects(async () => beingWritten, /changed/)
    await assert.rejects(async () => hooks.intend?.(facts), /changed/)
    await assert.rejects(async () => hooks.ask?.({ kind: 'connect', path: 'example.org:443' }), /changed/)
    await node.audit.flush(60_000)
    const told = (await auditEvents(mesh)).filter(({ kind }) => /network|held/.test(kind))
    assert.deepEqual(
      told.map(({ kind, facts: { policy } }) => [kind, Object(policy).version]),
      [
        ['network.intended', 2],
        ['network.ended', 2],
        ['network.intended', 2],
      ],
    )
  } finally {
    await mesh.close()
  }
})
