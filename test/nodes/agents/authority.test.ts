/** What an agent on a worker's node may do is what it was given: sandbox and model refuse the rest, whatever the agent believes. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Generate, inferenceName } from '../../../inference/service.js'
import type { MeshNode } from '../../../mesh/index.js'
import { agent, runTask } from '../../../nodes/agents/agent/agent.js'
import { delegate } from '../../../nodes/agents/agent/tool.js'
import { actions } from '../../../nodes/agents/authority.js'
import { workPlaces } from '../../../nodes/agents/job/request.js'
import { DoPart, worker } from '../../../nodes/agents/job/worker.js'
import { serveModel, serveSandbox } from '../../../nodes/process/serve.js'
import { loadProfile } from '../../../sandbox/preset.js'
import { RunAction, sandboxName } from '../../../sandbox/service.js'
import { workspaceId } from '../../../sandbox/workspace.js'
import { auditEvents } from '../../kit/events.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'
import { call, observed, type Rule, RuleBackend } from '../../kit/rules.js'

/** The task says what to call; what came of it is the answer. */
const obedient: Rule = (request) => {
  const saw = observed(request)
  if (saw !== undefined) return call('finish', { answer: saw })
  const [name = '', path] = (request.messages[1]?.content ?? '').split(' ')
  return call(name, name === 'helper' ? { task: 'count_lines plans/secret.txt' } : { path })
}

describe('agents on nodes of workers', () => {
  let mesh: TestMesh
  let boss: MeshNode
  let hand: MeshNode
  const workspace = temporaryFolder()
  const simple = { instructions: 'Do it.', tools: ['count_lines' as const] }

  before(async () => {
    mkdirSync(join(workspace, 'reports'))
    mkdirSync(join(workspace, 'plans'))
    writeFileSync(join(workspace, 'reports', 'may.txt'), 'one\ntwo\n')
    writeFileSync(join(workspace, 'plans', 'secret.txt'), 'one\n')
    mesh = await memoryMesh()
    boss = await mesh.join('boss', { roles: ['supervisor'] })
    hand = await mesh.join('hand', { roles: ['worker'], hosts: (node) => [worker(node)] })
    const box = await mesh.join('box', { roles: ['sandbox'] })
    const model = await mesh.join('model', { roles: ['inference'] })
    await serveSandbox(box, { workspace, profile: await loadProfile('read-only-research') })
    await serveModel(model, new RuleBackend(obedient))
    await hand.spawn(agent(hand, { ...simple, name: 'clerk' }))
    const helper = delegate({ name: 'helper', description: 'Helps.', agent: 'clerk', folders: ['reports'] })
    await hand.spawn(agent(hand, { ...simple, name: 'chief', tools: ['count_lines', helper] }))
    const toolless = delegate({ name: 'helper', description: 'Helps.', agent: 'clerk', tools: ['sum_column'] })
    await hand.spawn(agent(hand, { ...simple, name: 'strict', tools: [toolless] }))
    await boss.directory.wait(() => boss.nodes().find(({ advert }) => advert['model']), 60_000)
  })
  after(async () => {
    await mesh.close()
    rmSync(workspace, { recursive: true, force: true })
  })

  it('are put on nodes that host them alone: a program that has the role hosts none', async () => {
    await mesh.join('receiver', { roles: ['worker'] })
    await eventually(() => assert.ok(boss.nodes().some(({ name }) => name === 'receiver')))
    assert.deepEqual(await workPlaces(boss, 'worker'), ['hand'])
  })

  it('act and think for whoever gave them a task, and for nobody by themselves', async () => {
    const { answer } = await runTask(boss.ref('chief'), 'count_lines reports/may.txt')
    assert.equal(answer, 'done: 2 lines')
    const action = { tool: 'count_lines', args: { path: 'reports/may.txt' } }
    await assert.rejects(hand.ref(sandboxName('box')).ask(RunAction, action), {
      code: 'DENIED',
      message: /only under a grant/,
    })
    const thought = hand.ref(inferenceName('model')).stream(Generate, {
      messages: [{ role: 'user', content: 'Hello.' }],
      maxTokens: 10,
      temperature: 0,
    })
    await assert.rejects(thought[Symbol.asyncIterator]().next(), { code: 'DENIED', message: /only under a grant/ })
  })

  it('have a sub-agent read no further than they let it', async () => {
    const alone = await runTask(boss.ref('clerk'), 'count_lines plans/secret.txt')
    assert.equal(alone.answer, 'done: 1 line')
    const { answer } = await runTask(boss.ref('chief'), 'helper')
    assert.match(answer, /denied: grant \w+: it does not allow to read on plans\/secret.txt, only on reports/)
  })

  it('have a sub-agent use no tool but those that they let it', async () => {
    const { answer } = await runTask(boss.ref('strict'), 'helper')
    assert.match(
      answer,
      /denied: Grant \w+ for sandbox.run: it does not allow to act on count_lines, only on sum_column/,
    )
  })

  it('are held to the tokens that they were given by the model itself', async () => {
    const task = { task: 'count_lines reports/may.txt', budget: { tokens: 50_000 } }
    await assert.rejects(
      runTask(boss.ref('chief'), task, {
        entrust: { may: { ...actions(1).may, think: { on: ['mesh'], tokens: 200 } } },
      }),
      { code: 'DENIED', message: /200 of 200 tokens left/ },
    )
  })

  it('do one action for a part, and no second', async () => {
    const ref = await hand.spawn(worker(hand), { as: 'worker-1' })
    const entrust = actions(1)
    const may = { ...entrust.may, act: { on: ['count_lines'], times: 0 } }
    await assert.rejects(
      boss
        .ref(ref.name)
        .ask(
          DoPart,
          { words: 'count_lines reports/may.txt', workspace: workspaceId({ folder: workspace }) },
          { entrust: { may } },
        ),
      {
        code: 'DENIED',
        message: /used 0 times/,
      },
    )
  })

  it('leave the first use of each grant, and each refusal, on the trail', async () => {
    await eventually(async () => {
      const events = await auditEvents(mesh)
      const refused = events.filter(({ kind, facts }) => kind === 'message.denied' && facts['node'] === 'hand')
      assert.ok(refused.length >= 3)
      const [grant] = events.filter(({ kind, facts }) => kind === 'grant.used' && facts['message'] === 'sandbox.run')
      assert.deepEqual([grant?.facts['begins'], grant?.facts['by']], ['boss', 'hand'])
    })
  })
})
