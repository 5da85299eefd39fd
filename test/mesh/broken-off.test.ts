/** Work that its own node breaks off, while whoever asked still waits. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { actor, message, nothing, on } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { memoryMesh } from '../kit/mesh.js'

const Work = message('broken-off.work', { request: nothing, reply: nothing })

it('what breaks work off is told to the caller, whatever the handler makes of it', async (t) => {
  const mesh = await memoryMesh()
  t.after(() => mesh.close())
  const here = await mesh.join('here')
  // By its clock the time of the caller is over long before.
  const there = await mesh.join('there', { now: () => Date.now() + 20_000 })
  for (const [name, said] of [
    ['polite', new ClawmeshError('CANCELLED', 'The caller asked for it.')],
    ['rude', new Error('aborted')],
  ] as const) {
    const handler = on(
      Work,
      (_, { signal }) => new Promise<null>((_, cut) => signal.addEventListener('abort', () => cut(said))),
    )
    await there.spawn(actor(name, () => [handler]))
    await assert.rejects(here.ref(name).ask(Work, null, { timeoutMs: 20_300 }), {
      code: 'DEADLINE',
      message: /did not finish/,
    })
  }
})
