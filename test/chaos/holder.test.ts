/** I7: what a killed process held goes on elsewhere. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { it } from 'node:test'
import { z } from 'zod'
import { actor } from '../../mesh/index.js'
import { debate } from '../../nodes/agents/debate/debate.js'
import { votes } from '../../nodes/agents/debate/seat.js'
import { openHolders } from './holder.js'
import { sum } from './holder-life.js'

it('a debate whose holder is killed is gone on with by another, and no vote that was cast is asked for again', async (t) => {
  const { mesh, tasks, start, close } = await openHolders()
  t.after(close)
  const node = await mesh.join('voters')
  const asked: string[] = []
  let think: Promise<unknown> = new Promise(() => undefined)
  for (const { name } of sum.voters)
    await node.spawn(
      actor(
        name,
        () => [
          votes(node, name, async (_, { signal }) => {
            asked.push(name)
            if (name === 'v2') await Promise.race([think, once(signal, 'abort')])
            return { answer: '42', confidence: 1, reason: '', tokens: 10 }
          }),
        ],
        { args: z.unknown(), concurrency: 2 },
      ),
    )
  const { said, kill } = await start('debate', 2)
  await kill()
  assert.deepEqual(said.sort(), ['v0', 'v1'])
  think = Promise.resolve()
  const next = await mesh.join('next')
  await next.directory.wait(() => sum.voters.every(({ name }) => next.find(name)) || undefined, 60_000)
  const { outcome, bill, transcript } = await debate(next, sum, { tasks, id: 'sum' })
  assert.deepEqual([outcome.answer, outcome.support, bill.tokens], ['42', 3, 30])
  assert.deepEqual(asked.sort(), ['v0', 'v1', 'v2', 'v2'], 'only the one whose vote was not recorded')
  assert.deepEqual((await debate(next, sum, { tasks, id: 'sum' })).transcript, transcript, 'and then it has ended')
  assert.equal(asked.length, 4)
})
