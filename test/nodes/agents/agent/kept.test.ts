/** Runs that outlive the process of their agent: cut off, interrupted for a person, in doubt. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { z } from 'zod'
import { addressesOf } from '../../../../mesh/address.js'
import type { MeshNode } from '../../../../mesh/index.js'
import { signingKey } from '../../../../mesh/seal/keys.js'
import type { Reservation, Task } from '../../../../mesh/task/task.js'
import { openTasks, type Tasks } from '../../../../mesh/task/tasks.js'
import { type AgentOptions, agent, runTask } from '../../../../nodes/agents/agent/agent.js'
import { answerInterruption, interruptions } from '../../../../nodes/agents/agent/journal.js'
import { lowerRun } from '../../../../nodes/agents/agent/label.js'
import { ownTool } from '../../../../nodes/agents/agent/own-tool.js'
import { readPrices } from '../../../../nodes/agents/model/costs.js'
import { keepWorkspace, serveModel } from '../../../../nodes/process/serve.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { parseProfile } from '../../../../policies/profile.js'
import type { Sensitivity } from '../../../../policies/router-label.js'
import { signLowering } from '../../../../router/lowering.js'
import { sandboxName, sandboxService } from '../../../../sandbox/service.js'
import { auditEvents } from '../../../kit/events.js'
import { eventually } from '../../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../../kit/mesh.js'
import { call, observed, type Rule, RuleBackend } from '../../../kit/rules.js'
import { MemoryTrail } from '../../../router/kit.js'

/** A task of which nothing more is settled once its process is dead: whoever wants to waits for `over`. */
function dying(task: Task, isDead: () => boolean, over: Promise<void>): Task {
  const reserve = task.reserve.bind(task)
  return Object.assign(task, {
    reserve: async (...what: Parameters<Task['reserve']>): Promise<Reservation> => {
      const { amounts, settle } = await reserve(...what)
      return { amounts, settle: (bill) => (isDead() ? over : settle(bill)) }
    },
  })
}

describe('a run that is kept', () => {
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  const paid: number[] = []
  let pays: () => unknown = () => 'paid'
  const pay = ownTool({
    name: 'pay',
    description: 'Pays a bill.',
    args: z.object({ euros: z.number() }),
    runs: 'in-process',
    run: ({ euros }) => {
      paid.push(euros)
      return pays()
    },
  })
  /** Looks, pays twice, and says what it saw. */
  const paying: Rule = ({ messages }) => {
    const seen = messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
    if (seen.length < 2) return call('pay', { euros: seen.length + 1 })
    return call('finish', { answer: seen.join(', ') })
  }

  interface Place {
    mesh: TestMesh
    tasks: Tasks
    model: RuleBackend
    /** The agent on a node of its own; the node before is gone, as after a crash. */
    again(options?: Partial<AgentOptions>): Promise<MeshNode>
  }
  async function place(rule: Rule = paying): Promise<Place> {
    paid.length = 0
    pays = () => 'paid'
    const mesh = await memoryMesh()
    undo.push(() => mesh.close())
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
    const model = new RuleBackend(rule)
    await serveModel(await mesh.join('model', { roles: ['inference'] }), model)
    let node: MeshNode | undefined
    let number = 0
    const again: Place['again'] = async (options = {}) => {
      await node?.close()
      node = await mesh.join(`place-${++number}`, { roles: ['worker', 'supervisor'] })
      await node.directory.wait(() => node?.directory.node('model')?.advert['model'], 60_000)
      await node.spawn(agent(node, { name: 'clerk', instructions: 'Pay.', tools: [pay], tasks, ...options }))
      return node
    }
    return { mesh, tasks, model, again }
  }
  const run = (node: MeshNode, id = 'bills') => runTask(node.ref('clerk'), { task: 'Pay the bills.', id })
  const runOn = async (node: MeshNode, options: AgentOptions, id: string) => {
    // The one before it has the name until that is heard.
    await eventually(() => assert.equal(node.directory.locate('clerk'), undefined))
    await node.spawn(agent(node, options))
    try {
      return await runTask(node.ref('clerk'), { task: 'Count the lines.', id })
    } finally {
      await node.stop('clerk')
    }
  }
  const interrupting = { policy: { pay: 'interrupt' } } as const

  it('is about the files of the machine that it was begun on, wherever it goes on', async () => {
    const { mesh, tasks } = await place((request) => {
      const seen = observed(request)
      return seen === undefined ? call('count_lines', { path: 'notes.txt' }) : call('finish', { answer: seen })
    })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }')
    const asking = { policy: { count_lines: 'interrupt' } } as const
    const options = { name: 'clerk', instructions: 'Count.', tools: ['count_lines' as const], tasks, ...asking }
    const begin = async (name: string, text: string) => {
      const folder = temporaryFolder()
      undo.push(() => rmSync(folder, { recursive: true, force: true }))
      writeFileSync(join(folder, 'notes.txt'), text)
      const node = await mesh.join(name, { roles: ['worker', 'supervisor', 'sandbox'] })
      await node.spawn(sandboxService(node, { workspace: folder, profile }), { as: sandboxName(name) })
      await node.directory.describe({ sandbox: true })
      await keepWorkspace(node, { folder })
      return node
    }
    const one = await begin('one', 'a\n')
    const two = await begin('two', 'a\nb\n')
    for (const node of [one, two]) await eventually(() => assert.ok(node.directory.node('model')?.advert['model']))
    const [there, away] = ['there', 'away']
    for (const id of [there, away]) {
      assert.equal((await runOn(one, options, id)).by, 'interrupted')
      await answerInterruption(two, tasks, { id, answer: 'allow', by: 'Ada' })
    }
    assert.match((await runOn(two, options, there)).answer, /1 line/)
    await one.close()
    await eventually(() => assert.equal(two.directory.node('one'), undefined))
    assert.match((await runOn(two, options, away)).answer, /has the files that this is about/)
  })

  it('does not forget how sensitive is what it has seen', async () => {
    const { again } = await place()
    const node = await again(interrupting)
    const seen = { label: 'CONFIDENTIAL', categories: ['FIN'] } as const
    const first = await runTask(node.ref('clerk'), { task: 'Pay the bills.', id: 'bills', seen })
    assert.equal(first.by, 'interrupted')
    assert.deepEqual((await run(await again(interrupting))).seen, seen)
  })

  describe('whose label a person lowers', () => {
    const seen = { label: 'RESTRICTED', categories: ['FIN'] } as const
    const lowered = { label: 'INTERNAL', categories: [] } as const
    const word = { to: lowered, person: 'Ada', reason: 'it was published' }
    /** A run that has seen something and waits, and how a run goes that is taken up again, with what the trail says of labels by then. */
    async function waiting() {
      const { mesh, tasks, again } = await place()
      const node = await again(interrupting)
      await runTask(node.ref('clerk'), { task: 'Pay the bills.', id: 'bills', seen })
      const takenUp = async (given?: Sensitivity) => {
        const place = await again(interrupting)
        const asked = { task: 'Pay the bills.', id: 'bills', ...(given ? { seen: given } : {}) }
        const result = await runTask(place.ref('clerk'), asked)
        await place.audit.flush(60_000)
        const told = (await auditEvents(mesh)).filter(({ kind }) => kind.startsWith('label.'))
        return { seen: result.seen, told: told.map(({ kind, actor, facts }) => [kind, actor, facts['why']]) }
      }
      return { root: mesh.authority.root, tasks, node, takenUp }
    }

    it('has seen that much less from then on, and as much as it was on record', async () => {
      const { root, tasks, node, takenUp } = await waiting()
      assert.deepEqual(await lowerRun(node.audit, tasks, root, 'bills', word), seen)
      const expected = { seen: lowered, told: [['label.lowered', 'Ada', undefined]] }
      assert.deepEqual(await takenUp(), expected)
      assert.deepEqual(await takenUp(seen), expected, 'what it was first given it has seen by then')
      await assert.rejects(lowerRun(node.audit, tasks, root, 'bills', word), { code: 'USAGE', message: /not lower/ })
    })

    it('keeps it where more is seen than what the person said it of', async () => {
      const { root, tasks, node, takenUp } = await waiting()
      await lowerRun(node.audit, tasks, root, 'bills', word)
      const more = await takenUp({ label: 'RESTRICTED', categories: ['PHI'] })
      assert.deepEqual(more.seen, { label: 'RESTRICTED', categories: ['PHI', 'FIN'] })
      assert.equal(more.told.filter(([kind]) => kind === 'label.refused').length, 1)
    })

    it('keeps it where nothing could be recorded', async () => {
      const { root, tasks, takenUp } = await waiting()
      const trail = new MemoryTrail()
      trail.failing = 'intend'
      await assert.rejects(lowerRun(trail, tasks, root, 'bills', word), /does not answer/)
      assert.deepEqual((await takenUp()).seen, seen)
    })

    it('keeps it, on record, where an agent writes that it was lowered', async () => {
      const { root, tasks, takenUp } = await waiting()
      const forger = signingKey()
      const about = { task: 'bills', after: 'thought 1', from: seen, ...word }
      const task = await tasks.resume('bills')
      const { begunAt } = task
      const forged = [
        { seen: lowered },
        signLowering({ ...about, begunAt }, forger),
        signLowering({ ...about, begunAt: begunAt - 1 }, root),
        signLowering({ ...about, begunAt, task: 'another' }, root),
        [signLowering({ ...about, begunAt }, forger)[0], signLowering({ ...about, begunAt: 1 }, root)[1]],
      ]
      for (const [index, wire] of forged.entries())
        await task.step(`label lowered ${index}`, { result: z.unknown(), repeatable: true }, async () => wire)
      const run = await takenUp()
      assert.deepEqual(run.seen, seen)
      assert.deepEqual(
        run.told.map(([kind, , why]) => [kind, String(why).replace('What would lower the label of the task ', '')]),
        [
          ['label.refused', 'is none.'],
          ['label.refused', 'was not signed by the holder of the keys of the mesh.'],
          ['label.refused', 'is about another task.'],
          ['label.refused', 'is about another task.'],
          ['label.refused', 'was not signed by the holder of the keys of the mesh.'],
        ],
      )
    })
  })

  it('waits for a person through restarts, and goes on by the answer without thinking or doing anything twice', async () => {
    const { mesh, tasks, model, again } = await place()
    let node = await again(interrupting)
    const first = await run(node)
    assert.deepEqual([first.by, paid, model.requests.length], ['interrupted', [], 1])
    assert.match(first.reason, /whether it may call \{"name":"pay","arguments":\{"euros":1\}\}/)
    node = await again(interrupting)
    assert.equal((await run(node)).by, 'interrupted')
    assert.equal(model.requests.length, 1)
    await answerInterruption(node, tasks, { id: 'bills', answer: 'allow', by: 'Ada' })
    node = await again(interrupting)
    assert.deepEqual([(await run(node)).by, paid, model.requests.length], ['interrupted', [1], 2])
    await answerInterruption(node, tasks, { id: 'bills', answer: 'refuse', by: 'Ada' })
    node = await again(interrupting)
    const last = await run(node)
    assert.equal(last.answer, 'done: paid, refused: pay was not allowed, by Ada')
    assert.deepEqual([paid, model.requests.length], [[1], 3])
    await node.audit.flush(60_000)
    const trail = (await auditEvents(mesh)).filter(({ kind }) => kind === 'action.held' || kind === 'approval.answered')
    assert.deepEqual(
      trail.map(({ kind, facts }) => [kind, facts['answer']]),
      [
        ['action.held', undefined],
        ['approval.answered', 'allow'],
        ['action.held', undefined],
        ['approval.answered', 'refuse'],
      ],
    )
  })

  it('waits in several tasks at once, answered in any order', async () => {
    const { tasks, again } = await place()
    let node = await again(interrupting)
    for (const id of ['one', 'two', 'three']) assert.equal((await run(node, id)).by, 'interrupted')
    node = await again(interrupting)
    for (const id of ['three', 'one', 'two']) await answerInterruption(node, tasks, { id, answer: 'allow', by: 'Ada' })
    for (const id of ['two', 'three', 'one']) assert.equal((await run(node, id)).by, 'interrupted')
    assert.deepEqual(paid, [1, 1, 1])
    await assert.rejects(answerInterruption(node, tasks, { id: 'four', answer: 'allow', by: 'Ada' }), { code: 'USAGE' })
  })

  describe('that asks for three calls at once, two of which a person has to allow', () => {
    const at = (number: number) => `question 1${number === 1 ? '' : `.${number}`}: pay`
    /** Looks once and pays twice, in one thought. */
    const three: Rule = ({ messages }) => {
      const seen = messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
      if (seen.length > 0) return call('finish', { answer: seen.join('; ') })
      return [call('pay', { euros: 1 }), call('look'), call('pay', { euros: 3 })]
    }
    const looked: string[] = []
    let looks: () => unknown = () => undefined
    const look = ownTool({
      name: 'look',
      description: 'Looks.',
      args: z.object({}),
      runs: 'in-process',
      run: async () => {
        looked.push('look')
        await looks()
        return 'two bills'
      },
    })
    const options = { ...interrupting, tools: [pay, look] }
    async function threeAtOnce() {
      looked.length = 0
      looks = () => undefined
      const there = await place(three)
      return { ...there, restarted: () => there.again(options) }
    }
    const answers = (tasks: Tasks, node: MeshNode) => (number: number, answer: 'allow' | 'refuse') =>
      answerInterruption(node, tasks, { id: 'bills', question: at(number), answer, by: 'Ada' })

    for (const order of [[1, 3] as const, [3, 1] as const])
      it(`goes on by the answers in the order ${order.join(', ')}, through restarts, and does each once`, async () => {
        const { mesh, tasks, model, restarted } = await threeAtOnce()
        let node = await restarted()
        assert.equal((await run(node)).by, 'interrupted')
        assert.deepEqual([looked, paid], [['look'], []], 'what needs no answer is not kept waiting')
        assert.deepEqual(await interruptions(tasks, 'bills'), [
          { question: at(1), call: call('pay', { euros: 1 }) },
          { question: at(3), call: call('pay', { euros: 3 }) },
        ])
        await assert.rejects(answerInterruption(node, tasks, { id: 'bills', answer: 'allow', by: 'Ada' }), {
          code: 'USAGE',
          message: /waits for 2 answers/,
        })
        node = await restarted()
        const [first, second] = order
        await answers(tasks, node)(first, 'allow')
        const half = await run(node)
        assert.deepEqual([half.by, paid], ['interrupted', [first]])
        node = await restarted()
        await answers(tasks, node)(second, 'refuse')
        await assert.rejects(answers(tasks, node)(first, 'refuse'), { code: 'USAGE' }, 'an answer stands')
        node = await restarted()
        const said = [1, 3].map((euros) => (euros === first ? 'done: paid' : 'refused: pay was not allowed, by Ada'))
        const last = `call 1, pay: ${said[0]}; call 2, look: done: two bills; call 3, pay: ${said[1]}`
        assert.equal((await run(node)).answer, last)
        assert.deepEqual([looked, paid, model.requests.length], [['look'], [first], 2])
        await node.audit.flush(60_000)
        const held = (await auditEvents(mesh)).filter(({ kind }) => kind === 'action.held')
        assert.deepEqual(
          held.map(({ facts }) => facts['question']),
          [at(1), at(3)],
          'each is asked once',
        )
      })

    it('takes an answer while it is under way, and is not cut off by it', async () => {
      const { tasks, restarted } = await threeAtOnce()
      const node = await restarted()
      looks = () => Promise.all([1, 3].map((number) => answers(tasks, node)(number, 'allow')))
      assert.equal((await run(node)).by, 'answer')
      assert.deepEqual([looked, paid], [['look'], [1, 3]])
    })
  })

  it('that was cut off in the middle of an action is in doubt, and goes on by the word of a person', async () => {
    const { tasks, model, again } = await place()
    let node = await again()
    const whole = await run(node, 'whole')
    assert.deepEqual([whole.answer, paid], ['done: paid, done: paid', [1, 2]])
    paid.length = 0
    const stop = new AbortController()
    pays = () => (paid.length === 2 ? stop.abort(new ClawmeshError('CANCELLED', 'enough')) : undefined) ?? 'paid'
    const asked = model.requests.length
    const cut = runTask(node.ref('clerk'), { task: 'Pay the bills.', id: 'bills' }, { signal: stop.signal })
    await assert.rejects(cut, { code: 'CANCELLED' })
    node = await again()
    // Whether the second bill was paid, nobody knows but a person.
    await assert.rejects(run(node), { code: 'IN_DOUBT', message: /action 2: pay/ })
    const task = await tasks.resume('bills')
    await task.settle('action 2: pay', { done: { status: 'done', text: 'was paid' } }, 'Ada')
    node = await again()
    assert.equal((await run(node)).answer, 'done: paid, done: was paid')
    assert.deepEqual([paid, model.requests.length - asked], [[1, 2], 3])
  })

  it('that has ended tells how, and is not run again', async () => {
    const { model, again } = await place()
    const first = await run(await again())
    const node = await again()
    assert.deepEqual(await run(node), first)
    assert.deepEqual([paid, model.requests.length], [[1, 2], 3])
    const other = runTask(node.ref('clerk'), { task: 'Something else.', id: 'bills' })
    await assert.rejects(other, { code: 'USAGE', message: /is another one/ })
  })

  it('costs the same however often it is cut off', async () => {
    const { tasks, again } = await place()
    const whole = await run(await again(), 'whole')
    for (const _ of [1, 2]) {
      const node = await again(interrupting)
      await run(node)
      await answerInterruption(node, tasks, { id: 'bills', answer: 'allow', by: 'Ada' })
    }
    const pieces = await run(await again(interrupting))
    assert.deepEqual([pieces.answer, pieces.tokens, pieces.steps], [whole.answer, whole.tokens, whole.steps])
  })

  it('has paid for a thought that was cut off all that was set aside for it, and ends when too little is left', async () => {
    let thoughts = 0
    const { tasks, again } = await place((request, signal) => {
      thoughts += 1
      if (thoughts === 1) return paying(request)
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    })
    // The process of the agent dies while it thinks: of its last thought it writes nothing more.
    let isDead = false
    let bury: () => void = () => undefined
    const over = new Promise<void>((resolve) => (bury = resolve))
    const mortal: Tasks = Object.assign(Object.create(Object.getPrototypeOf(tasks)) as Tasks, {
      list: () => tasks.list(),
      begin: async (...given: Parameters<Tasks['begin']>) => dying(await tasks.begin(...given), () => isDead, over),
    })
    const budget = { tokens: 1600, ms: 60_000, steps: 9, money: 1000 }
    const prices = { ...readPrices(), mesh: { hour: 3600 } }
    const cut = run(await again({ tasks: mortal, budget, prices }))
    cut.catch(() => undefined)
    await eventually(() => assert.equal(thoughts, 2))
    const state = async () =>
      (await tasks.list()).find(({ id }) => id === 'bills')?.budget ?? assert.fail('it has none')
    const { spent, reserved } = await state()
    const [before, aside] = [spent.tokens ?? 0, reserved.tokens ?? 0]
    assert.ok(before > 0 && aside > 100, JSON.stringify({ spent, reserved }))
    // A second of thought costs a unit, and it may take all its time.
    const coins = (spent.money ?? 0) + (reserved.money ?? 0)
    assert.ok((spent.money ?? 0) > 0 && (reserved.money ?? 0) > 30, JSON.stringify({ spent, reserved }))
    isDead = true
    const result = await run(await again({ budget, prices }))
    assert.deepEqual([result.by, result.tokens, thoughts], ['tokens', before + aside, 2])
    assert.equal((await state()).spent.tokens, before + aside)
    assert.deepEqual([(await state()).spent.money, result.money], [coins, coins])
    bury()
  })

  it('needs something that keeps it', async () => {
    const { again } = await place()
    const node = await again(interrupting)
    await assert.rejects(runTask(node.ref('clerk'), 'Pay.'), { code: 'USAGE', message: /cannot be kept/ })
  })
})
