/** The tokens of a job: set aside before a model is asked, billed, and never more than its task has. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../../mesh/address.js'
import type { MeshNode } from '../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { runJob } from '../../../nodes/agents/job/job.js'
import { Purse } from '../../../nodes/agents/job/purse.js'
import { worker } from '../../../nodes/agents/job/worker.js'
import { budgetLines } from '../../../nodes/cli/job/tasks.js'
import { serveModel } from '../../../nodes/process/serve.js'
import { parseProfile } from '../../../policies/profile.js'
import { sandboxName, sandboxService } from '../../../sandbox/service.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'
import { call, RuleBackend } from '../../kit/rules.js'

describe('the tokens of a job', () => {
  const workspace = temporaryFolder()
  const model = new RuleBackend(() => call('count_lines', { path: 'a.txt' }), { billed: 700 })
  let mesh: TestMesh
  let tasks: Tasks
  let supervisor: MeshNode

  before(async () => {
    writeFileSync(join(workspace, 'a.txt'), 'one\ntwo\n')
    mesh = await memoryMesh()
    await serveModel(await mesh.join('model', { roles: ['inference'] }), model)
    const box = await mesh.join('box', { roles: ['worker', 'sandbox'], advert: { sandbox: true } })
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
  const job = { request, files: () => ['a.txt'], workers: ['one'], signal, progress: () => undefined }

  it('are billed as the model counted them, and tasks show says what is left', async () => {
    const task = await begin(100_000)
    const { error } = await runJob(supervisor, task, job)
    assert.equal(error, undefined)
    assert.deepEqual(task.budget?.left, { tokens: 98_600 })
    const shown = (await tasks.list()).find(({ id }) => id === task.id) ?? assert.fail('it is not listed')
    assert.deepEqual(budgetLines(shown), [
      '  budget    100000 tokens: 1400 tokens spent, 0 tokens set aside, 98600 tokens left',
    ])
  })

  it('are not asked for where too few are left: no model is, and the task says why', async () => {
    const asked = model.requests.length
    const { error } = await runJob(supervisor, await begin(1000), job)
    assert.equal(error?.code, 'BUDGET_SPENT')
    assert.equal(model.requests.length, asked)
  })

  it('that others have set aside are waited for', async () => {
    const task = await begin(20_000)
    const purse = new Purse(task)
    const first = await purse.take('first')
    const second = await purse.take('second')
    assert.ok((first.tokens ?? 0) + (second.tokens ?? 0) <= 20_000)
    const third = purse.take('third')
    await first.settle(1000)
    await (await third).settle(null)
    await second.settle(0)
    assert.ok((task.budget?.left.tokens ?? 0) > 0)
    const all = await begin(5000)
    const purseOfAll = new Purse(all)
    await (await purseOfAll.take('all')).settle(null)
    await assert.rejects(purseOfAll.take('more'), { code: 'BUDGET_SPENT' })
  })
})
