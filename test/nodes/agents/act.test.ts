/** I9: what an agent's action is asked under goes with it to the sandbox, and from there to the person. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { actor, message, on } from '../../../mesh/index.js'
import { act } from '../../../nodes/agents/act.js'
import { serveSandbox } from '../../../nodes/process/serve.js'
import { parseProfile } from '../../../policies/profile.js'
import { AskApproval, approverName } from '../../../sandbox/approval.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh } from '../../kit/mesh.js'
import { newStage } from '../../sandbox/stage.js'

const Go = message('test.go', { request: z.null(), reply: z.string() })

test('a held action waits as long as whoever asked for it, and no longer', async () => {
  const { workspace } = await newStage()
  const mesh = await memoryMesh()
  try {
    const box = await mesh.join('box', { roles: ['supervisor', 'sandbox'] })
    const front = await mesh.join('front', { roles: ['gateway'] })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }\nask: [{ read: / }]')
    await serveSandbox(box, { workspace, profile })
    const held: { leftMs: number; signal: AbortSignal }[] = []
    await front.spawn(
      actor(approverName, () => [
        on(AskApproval, async (_, { deadline, signal }) => {
          held.push({ leftMs: deadline - front.now(), signal })
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          return { answer: 'refuse' as const, by: 'nobody' }
        }),
      ]),
    )
    const call = { name: 'read_file', arguments: { path: '../secret.txt' } }
    await box.spawn(actor('agent', () => [on(Go, async (_, context) => (await act(box, call, context)).status)]))
    const caller = new AbortController()
    const asked = front.ref('agent').ask(Go, null, { timeoutMs: 50_000, signal: caller.signal })
    const given = assert.rejects(asked, { code: 'CANCELLED' })
    const { leftMs, signal } = await eventually(() => {
      const [first] = held
      assert.ok(first)
      return first
    })
    assert.ok(leftMs > 30_000, `${leftMs} ms are left`)
    caller.abort()
    await given
    await eventually(() => assert.ok(signal.aborted))
  } finally {
    await mesh.close()
  }
})
