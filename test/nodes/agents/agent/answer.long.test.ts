/** `clawmesh tasks answer`, as the shipped command: a person at a terminal answers what the run of an agent in another process waits for. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import type { GenerateEvent, GenerateRequest } from '../../../../inference/backend.js'
import { openTasks } from '../../../../mesh/task/tasks.js'
import { agent, runTask } from '../../../../nodes/agents/agent/agent.js'
import type { AgentEvent } from '../../../../nodes/agents/agent/event.js'
import { ownTool } from '../../../../nodes/agents/agent/own-tool.js'
import { openLiveGround } from '../../../../nodes/authority/live.js'
import { joinAsGuest } from '../../../../nodes/member/guest.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { eventually } from '../../../kit/eventually.js'
import { call, RuleBackend } from '../../../kit/rules.js'
import { Machine } from '../../machine.js'

/** Asks for two payments at once; told to, it thinks for ever. */
class PayingModel extends RuleBackend {
  constructor() {
    const pays = [call('pay', { euros: 1 }), call('pay', { euros: 2 })]
    super(({ messages }) => (messages.length > 2 ? call('finish', { answer: 'paid' }) : pays))
  }

  override async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    if (!request.messages.some(({ content }) => content === 'Think without end.')) {
      yield* super.generate(request, signal)
      return
    }
    for (let number = 0; !signal?.aborted; number += 1) {
      yield { type: 'token', text: `${number} ` }
      await setTimeout(5)
    }
  }
}

it('several questions of one run are shown and answered at a terminal, each by its name', async (t) => {
  const machine = new Machine()
  t.after(() => machine.remove())
  await machine.up()
  const ground = await openLiveGround(machine.data)
  assert.ok(ground)
  t.after(() => ground.close())
  const { transport, addresses, authority } = ground
  const { node, end } = await joinAsGuest(ground, machine.data, ['supervisor', 'worker', 'inference'])
  t.after(end)
  const paid: number[] = []
  const pay = ownTool({
    name: 'pay',
    description: 'Pays a bill.',
    args: z.object({ euros: z.number() }),
    runs: 'in-process',
    run: ({ euros }) => paid.push(euros),
  })
  await serveModel(node, new PayingModel())
  const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
  const policy = { pay: 'interrupt' } as const
  const clerk = agent(node, { name: 'clerk', model: 'rules', instructions: 'Pay.', tools: [pay], policy, tasks })
  const ref = await node.spawn(clerk)
  const run = () => runTask(ref, { task: 'Pay.', id: 'bills-7' })
  assert.equal((await run()).by, 'interrupted')
  const shown = await machine.do('tasks', 'show', 'bills-7')
  assert.match(shown.stdout, /waits {5}question 1: pay {"euros":1}\n +waits {5}question 1\.2: pay {"euros":2}/)
  const unclear = await machine.do('tasks', 'answer', 'bills-7', '--as', 'allow')
  assert.equal(unclear.status, 2)
  assert.match(unclear.error.join(), /waits for 2 answers.*question 1\.2: pay/s)
  const second = await machine.do('tasks', 'answer', 'bills-7', '--as', 'allow', '--question', 'question 1.2: pay')
  assert.equal(second.status, 0, second.stderr)
  assert.match(second.stdout, /It waits for 1 more/)
  assert.equal((await run()).by, 'interrupted')
  assert.deepEqual(paid, [2])
  const first = await machine.do('tasks', 'answer', 'bills-7', '--as', 'refuse', '--by', 'Ada')
  assert.equal(first.status, 0, first.stderr)
  assert.equal((await run()).answer, 'paid')
  assert.deepEqual(paid, [2])
  const trail = await machine.do('audit', 'query', '--json', '--kind', 'approval.answered', '--trace', 'bills-7')
  assert.match(trail.stdout, /"actor":"Ada"/)

  // What had come of an answer that was cancelled is told to whoever asks what was spent.
  const stop = new AbortController()
  let tokens = 0
  const onEvent = ({ type }: AgentEvent) => {
    if (type === 'token' && ++tokens === 3) stop.abort(new ClawmeshError('CANCELLED', 'enough'))
  }
  const asked = runTask(
    ref,
    { task: 'Think without end.', id: 'bills-8' },
    { signal: stop.signal, trace: 'endless', onEvent },
  )
  await assert.rejects(asked, { code: 'CANCELLED' })
  await eventually(async () => {
    const { stdout } = await machine.do('costs', '--task', 'endless')
    assert.match(stdout, /cancelled, at least [1-9]\d* tokens had come/)
  })
})
