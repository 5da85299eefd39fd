/** Who answers a message has a role for it. Whoever asks a node that has none is told what it takes. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { z } from 'zod'
import { actor, message, on } from '../../mesh/index.js'
import type { ClawmeshError } from '../../policies/errors.js'
import { memoryMesh } from '../kit/mesh.js'

const nothing = z.null()
const Do = message('test.do', { request: nothing, reply: nothing, from: ['supervisor'], to: ['worker'] })
const Rule = message('test.rule', { request: nothing, reply: nothing, from: ['supervisor'], to: ['authority'] })

it('an actor whose node lacks the role for a message is not asked, and the error says how its node gets it', async () => {
  const mesh = await memoryMesh()
  try {
    const program = await mesh.join('program', { roles: ['supervisor'] })
    const asker = await mesh.join('asker', { roles: ['supervisor'] })
    const clerk = actor('clerk', () => [on(Do, () => null), on(Rule, () => null)], { args: z.undefined() })
    await program.spawn(clerk, { as: 'clerk' })
    const refused = (hint: RegExp) => (error: ClawmeshError) => {
      assert.deepEqual([error.code, /is answered by/.test(error.message)], ['DENIED', true])
      assert.match(error.hint, hint)
      return true
    }
    await assert.rejects(asker.ref('clerk').ask(Do, null), refused(/clawmesh invite --roles worker,supervisor\.$/))
    await assert.rejects(asker.ref('clerk').ask(Rule, null), refused(/^The node of the authority alone answers it\.$/))
  } finally {
    await mesh.close()
  }
})
