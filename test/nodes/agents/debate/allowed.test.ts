/** What a debate may cost and how long it may take: through the journal of its task, as for any other. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../../../mesh/address.js'
import type { MeshNode } from '../../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../../mesh/task/tasks.js'
import { debate } from '../../../../nodes/agents/debate/debate.js'
import { debater } from '../../../../nodes/agents/debate/debater.js'
import { doDebate } from '../../../../nodes/agents/debate/request.js'
import { readPrices } from '../../../../nodes/agents/model/costs.js'
import { dataSubject } from '../../../../nodes/data-subject.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import { eventually } from '../../../kit/eventually.js'
import { memoryMesh, type TestMesh } from '../../../kit/mesh.js'
import { RuleBackend } from '../../../kit/rules.js'

describe('what a debate may use', () => {
  // A second of a model of the mesh costs as much as a unit, so an ask of 60 s sets aside 60.
  const prices = { ...readPrices(), mesh: { hour: 3600 } }
  const answer = JSON.stringify({ answer: '42', confidence: 0.9, reason: 'it is' })
  let meanwhile = async (_?: AbortSignal): Promise<unknown> => undefined
  const model = new RuleBackend(async (_, signal) => {
    await meanwhile(signal)
    return answer
  })
  const voters = ['a', 'b', 'c'].map((name) => ({ name }))
  const spec = { question: 'What is the answer?', voters, roundMs: 60_000 }
  let mesh: TestMesh
  let tasks: Tasks
  let supervisor: MeshNode

  before(async () => {
    mesh = await memoryMesh()
    await serveModel(await mesh.join('model', { roles: ['inference'] }), model)
    const box = await mesh.join('box', { roles: ['worker'], hosts: (node) => [debater(node)] })
    for (const { name } of voters) await box.spawn(debater(box), { as: name, args: {} })
    supervisor = await mesh.join('supervisor', { roles: ['supervisor'] })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
  })
  after(() => mesh.close())

  const stateOf = async (id: string) => (await tasks.list()).find((task) => task.id === id)

  it('is money: set aside before each ask, billed by the price table, and waited for where others have it', async () => {
    let aside = 0
    meanwhile = async () => {
      aside = Math.max(aside, (await stateOf('rich'))?.budget?.reserved.money ?? 0)
    }
    const allowed = { budget: { money: 130 } }
    const { outcome } = await debate(supervisor, spec, { tasks, id: 'rich', allowed, prices })
    meanwhile = async () => undefined
    assert.deepEqual([outcome.status, outcome.answer], ['decided', '42'])
    assert.ok(aside >= 60 && aside <= 130, `${aside}: two at a time`)
    const { state, budget } = (await stateOf('rich')) ?? assert.fail('it is not there')
    assert.equal(state, 'ended')
    const { spent, left, reserved } = budget ?? assert.fail('it has none')
    assert.ok((spent.money ?? 0) > 0 && (left.money ?? 0) > 100 && (reserved.money ?? 0) === 0, JSON.stringify(budget))
  })

  it('is no more than it has: nobody is asked that it does not cover, and each lost vote says why', async () => {
    const asked = model.requests.length
    const { outcome, transcript } = await debate(supervisor, spec, {
      ...{ tasks, id: 'poor', prices },
      allowed: { budget: { money: 50 } },
    })
    assert.equal(outcome.status, 'undecided')
    assert.equal(model.requests.length, asked)
    const [first] = transcript.events
    assert.ok(first?.type === 'failed' && first.code === 'BUDGET_SPENT')
    assert.match(first.reason, /^Task poor has 50 of its money left; vote of [abc] in round 1 may take 60\.$/)
  })

  it('is time: what is under way is cut off, down to the model, and the task ends', async () => {
    let cut = 0
    meanwhile = async (signal) => {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
      cut += 1
    }
    const { outcome } = await debate(supervisor, spec, { tasks, id: 'late', allowed: { ms: 700 }, prices })
    meanwhile = async () => undefined
    assert.equal(outcome.status, 'undecided')
    assert.match(outcome.reason, /^The time of task late was over/)
    await eventually(() => assert.equal(cut, 3))
    assert.equal((await stateOf('late'))?.state, 'ended')
  })

  it('is what it began with: asked again with less it is another, and one whose time is over is begun anew', async () => {
    const said: string[] = []
    const request = (allowed: { budget?: { money: number }; ms?: number }, signal: AbortSignal) =>
      doDebate(supervisor, tasks, {
        rules: { question: 'And what is it again?', roundMs: 60_000 },
        ...{ agents: 3, places: ['box'], allowed, prices, signal },
        subject: dataSubject(supervisor, mesh.authority.subjects, 'Ada'),
        progress: (text) => said.push(text),
      })
    const cutOff = async (allowed: Parameters<typeof request>[0]) => {
      const stop = new AbortController()
      meanwhile = async (signal) => {
        stop.abort(new Error('its process died'))
        await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
      }
      await request(allowed, stop.signal).catch(() => undefined)
      meanwhile = async () => undefined
      return (await tasks.list()).at(-1)?.id ?? assert.fail('nothing was begun')
    }
    const signal = new AbortController().signal
    const rich = await cutOff({ budget: { money: 1000 } })
    assert.equal((await request({ budget: { money: 500 } }, signal)).outcome.answer, '42')
    assert.ok(said.includes(`debate ${rich} was cut off, and may use more than is given now: this is another`))
    assert.equal((await stateOf(rich))?.state, 'unfinished')
    assert.equal((await request({ budget: { money: 1000 } }, signal)).outcome.answer, '42')
    assert.equal((await stateOf(rich))?.state, 'ended')
    const short = await cutOff({ ms: 900 })
    await eventually(async () => assert.ok(((await stateOf(short))?.until ?? Number.POSITIVE_INFINITY) < Date.now()))
    assert.equal((await request({ ms: 60_000 }, signal)).outcome.answer, '42')
    assert.match(said.join('\n'), new RegExp(`The time of task ${short} was over.* It is begun anew`))
    assert.equal((await stateOf(short))?.state, 'ended')
  })
})
