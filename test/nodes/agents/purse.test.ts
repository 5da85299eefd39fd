/** Tokens and money of a job: set aside before a model is asked, billed, and never more than its task has. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../../mesh/address.js'
import type { MeshNode } from '../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { agentResultSchema } from '../../../nodes/agents/agent/event.js'
import { runJob } from '../../../nodes/agents/job/job.js'
import { Purse } from '../../../nodes/agents/job/purse.js'
import { worker } from '../../../nodes/agents/job/worker.js'
import { readPrices } from '../../../nodes/agents/model/costs.js'
import { pricedUseSchema } from '../../../nodes/agents/model/price.js'
import { budgetLines } from '../../../nodes/cli/job/tasks.js'
import { serveModel } from '../../../nodes/process/serve.js'
import { parseProfile } from '../../../policies/profile.js'
import { sandboxName, sandboxService } from '../../../sandbox/service.js'
import { workspaceId } from '../../../sandbox/workspace.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'
import { RuleBackend, call as toolCall } from '../../kit/rules.js'

describe('the budget of a job', () => {
  const workspace = temporaryFolder()
  let meanwhile = async (_signal?: AbortSignal): Promise<void> => undefined
  const rule = async (_: unknown, signal?: AbortSignal) => {
    await meanwhile(signal)
    return toolCall('count_lines', { path: 'a.txt' })
  }
  const model = new RuleBackend(rule, { billed: 700 })
  const prices = readPrices()
  const market = { prices, models: () => [] }
  const call = { ms: 1000 }
  const about = workspaceId({ folder: workspace })
  let mesh: TestMesh
  let tasks: Tasks
  let supervisor: MeshNode

  before(async () => {
    writeFileSync(join(workspace, 'a.txt'), 'one\ntwo\n')
    mesh = await memoryMesh()
    await serveModel(await mesh.join('model', { roles: ['inference'] }), model)
    const box = await mesh.join('box', { roles: ['worker', 'sandbox'], advert: { sandbox: true, workspace: about } })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }')
    await box.spawn(sandboxService(box, { workspace, profile }), { as: sandboxName('box') })
    await box.spawn(worker(box), { as: 'one' })
    supervisor = await mesh.join('supervisor', { roles: ['supervisor'] })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
  })
  after(async () => {
    await mesh.close()
    rmSync(workspace, { recursive: true, force: true })
  })

  const begin = (tokens: number) => tasks.begin({}, undefined, { budget: { tokens } })
  const signal = new AbortController().signal
  const request = 'How many lines has a.txt? How many lines has a.txt?'
  const job = { request, workspace: about, files: () => ['a.txt'], workers: ['one'], signal, progress: () => undefined }

  it('has tokens that are billed as the model counted them, and tasks show says what is left', async () => {
    const task = await begin(100_000)
    const { error } = await runJob(supervisor, task, job)
    assert.equal(error, undefined)
    assert.deepEqual(task.budget?.left, { tokens: 98_600 })
    const shown = (await tasks.list()).find(({ id }) => id === task.id) ?? assert.fail('it is not listed')
    assert.deepEqual(budgetLines(shown), [
      '  budget    100000 tokens: 1400 tokens spent, 0 tokens set aside, 98600 tokens left',
    ])
  })

  it('has tokens that are not asked for where too few are left: no model is, and the task says why', async () => {
    const asked = model.requests.length
    const { error } = await runJob(supervisor, await begin(1000), job)
    assert.equal(error?.code, 'BUDGET_SPENT')
    assert.equal(model.requests.length, asked)
  })

  it('has tokens that others have set aside, which are waited for', async () => {
    const task = await begin(20_000)
    const purse = new Purse(task, market)
    const first = await purse.take('first', call)
    const second = await purse.take('second', call)
    assert.ok((first.tokens ?? 0) + (second.tokens ?? 0) <= 20_000)
    const third = purse.take('third', call)
    await first.settle({ tokens: 1000, uses: null })
    await (await third).settle(null)
    await second.settle({ tokens: 0, uses: null })
    assert.ok((task.budget?.left.tokens ?? 0) > 0)
    const all = await begin(5000)
    const purseOfAll = new Purse(all, market)
    await (await purseOfAll.take('all', call)).settle(null)
    await assert.rejects(purseOfAll.take('more', call), { code: 'BUDGET_SPENT' })
  })

  describe('and its money', () => {
    // A second of a model of the mesh costs as much as a unit: of 120 s that a part may take at most, 120.
    const bySecond = { ...prices, mesh: { hour: 3600 } }
    const beginFor = (money: number, until?: number) => tasks.begin({}, undefined, { budget: { money }, until })
    const stateOf = async (id: string) => (await tasks.list()).find((task) => task.id === id)

    it('is on record before a model is asked, billed by the price table, and not asked for where too little is left', async () => {
      const task = await beginFor(250)
      let aside: number | undefined
      meanwhile = async () => {
        aside = (await stateOf(task.id))?.budget?.reserved.money
      }
      const { error } = await runJob(supervisor, task, { ...job, prices: bySecond })
      meanwhile = async () => undefined
      assert.equal(error, undefined)
      assert.ok(aside !== undefined && aside >= 120, String(aside))
      const { spent = {}, left = {} } = (await stateOf(task.id))?.budget ?? {}
      assert.ok((spent.money ?? 0) > 0 && (left.money ?? 0) > 200, JSON.stringify({ spent, left }))
      const asked = model.requests.length
      const poor = await runJob(supervisor, await beginFor(100), { ...job, prices: bySecond })
      assert.equal(poor.error?.code, 'BUDGET_SPENT')
      assert.equal(model.requests.length, asked)
    })

    it('is not spent on a model without a price: it is in no grant, and where there is no other the call is refused', async () => {
      const cloud = (name: string) => ({ model: `cloud/${name}`, zone: 'elsewhere' }) as const
      const known = cloud('example-large')
      const task = await beginFor(1)
      const purse = new Purse(task, { prices, models: () => [cloud('unpriced'), known] })
      const taken = await purse.take('part', call)
      assert.deepEqual(taken.models, ['mesh', known.model])
      const aside = task.budget?.reserved.money ?? 0
      assert.ok(aside > ((taken.tokens ?? 0) * 15) / 1e6, String(aside))
      const usage = { promptTokens: 1000, outputTokens: 100 }
      await taken.settle({ tokens: 1100, uses: [{ ...known, usage, seconds: 1 }] })
      assert.equal(task.budget?.spent.money, (1000 * 3 + 100 * 15) / 1e6)
      // What nobody counted has cost all of it.
      const uncounted = await purse.take('part', call)
      await uncounted.settle({ tokens: null, uses: [{ ...known, usage: null, seconds: 1 }] })
      assert.ok(Math.abs((task.budget?.spent.money ?? 0) - 0.0045 - aside) < 1e-9)
      const result = {
        by: 'answer',
        answer: '',
        output: null,
        reason: '',
        steps: 1,
        seen: { label: 'PUBLIC', categories: [] },
      }
      for (const less of [{ tokens: -1 }, { tokens: 1, money: -1 }])
        assert.equal(agentResultSchema.safeParse({ ...result, ...less }).success, false)
      // More than any question takes would make sums that no journal holds.
      assert.equal(pricedUseSchema.safeParse({ ...known, usage, seconds: 1e308 }).success, false)
      const without = new Purse(task, { prices, models: () => [cloud('unpriced')] })
      await assert.rejects(without.take('part', call), { code: 'PRICE_UNKNOWN' })
    })

    it('ends with its time: what is under way is cut off, and the journal says why', async () => {
      const until = Date.now() + 500
      const task = await beginFor(1e9, until)
      meanwhile = (signal) => new Promise((resolve) => signal?.addEventListener('abort', () => resolve()))
      await assert.rejects(runJob(supervisor, task, { ...job, prices: bySecond }), { code: 'BUDGET_SPENT' })
      meanwhile = async () => undefined
      const info = await stateOf(task.id)
      assert.equal(info?.state, 'ended')
      assert.match(JSON.stringify(info?.outcome), /The time of task .* was over/)
    })
  })
})
