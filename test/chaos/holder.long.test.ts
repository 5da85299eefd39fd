/** I7: what a killed process held goes on elsewhere. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { runTask } from '../../nodes/agents/agent/agent.js'
import { answerInterruption, interruptions } from '../../nodes/agents/agent/journal.js'
import { serveModel } from '../../nodes/process/serve.js'
import { call, RuleBackend } from '../kit/rules.js'
import { openHolders } from './holder.js'
import { paymentsIn } from './holder-life.js'

it('a run that waits for two persons goes on by their answers in any order, though its process is killed before each', async (t) => {
  const { mesh, tasks, start, close } = await openHolders()
  t.after(close)
  const node = await mesh.join('operator', { roles: ['supervisor', 'inference'] })
  const model = new RuleBackend(({ messages }) => {
    const seen = messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
    if (seen.length > 0) return call('finish', { answer: seen.join('; ') })
    return [call('pay', { euros: 1 }), call('look'), call('pay', { euros: 3 })]
  })
  await serveModel(node, model)
  const run = async () => {
    const holder = await start('agent', 1)
    // Of the one that was killed, its name is free once its lease has ended.
    await node.directory.wait(() => node.find('clerk'), 10_000)
    const result = await runTask(node.ref('clerk'), { task: 'Pay.', id: 'bills' }, { timeoutMs: 20_000 })
    await holder.kill()
    await node.directory.wait(() => !node.find('clerk') || undefined, 10_000)
    return result
  }
  const done = () => readFileSync(paymentsIn(mesh.folder), 'utf8').trim().split('\n')
  assert.equal((await run()).by, 'interrupted')
  const [first, third] = await interruptions(tasks, 'bills')
  assert.ok(first && third)
  await answerInterruption(node, tasks, { id: 'bills', question: third.question, answer: 'allow', by: 'Ada' })
  assert.equal((await run()).by, 'interrupted')
  assert.deepEqual(done(), ['looked', '3'])
  await answerInterruption(node, tasks, { id: 'bills', question: first.question, answer: 'allow', by: 'Bob' })
  assert.equal((await run()).by, 'answer')
  assert.deepEqual(done(), ['looked', '3', '1'], 'each once')
  assert.equal(model.requests.length, 2, 'and nothing is thought twice')
})
