import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { z } from 'zod'
import type { Backend } from '../../../../inference/backend.js'
import { shippedModelFolder } from '../../../../inference/models.js'
import { OnnxBackend } from '../../../../inference/onnx/backend.js'
import { actor, localMesh, type MeshNode, on } from '../../../../mesh/index.js'
import { type AgentOptions, agent, runTask } from '../../../../nodes/agents/agent/agent.js'
import type { AgentEvent } from '../../../../nodes/agents/agent/event.js'
import { ownTool } from '../../../../nodes/agents/agent/own-tool.js'
import { delegate, handoff, toolbox } from '../../../../nodes/agents/agent/tool.js'
import { servedModels } from '../../../../nodes/agents/model/candidate.js'
import { readPrices } from '../../../../nodes/agents/model/costs.js'
import { serveModel, serveSandbox } from '../../../../nodes/process/serve.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { parseProfile } from '../../../../policies/profile.js'
import { AskApproval } from '../../../../sandbox/approval.js'
import { loadProfile } from '../../../../sandbox/preset.js'
import { eventually } from '../../../kit/eventually.js'
import { memoryMesh, temporaryFolder } from '../../../kit/mesh.js'
import { call, observed, type Rule, RuleBackend } from '../../../kit/rules.js'

const double = ownTool({
  name: 'double',
  description: 'Twice a number.',
  args: z.object({ number: z.number() }),
  runs: 'in-process',
  run: ({ number }) => String(number * 2),
})
/** Doubles 21 and answers with what it saw. */
const doubling: Rule = (request) => {
  const saw = observed(request)
  return saw === undefined ? call('double', { number: 21 }) : call('finish', { answer: saw.replace('done: ', '') })
}

describe('an agent', () => {
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  async function meshWith(rule: Rule | Backend): Promise<MeshNode> {
    const mesh = await localMesh()
    const backend = typeof rule === 'function' ? new RuleBackend(rule) : rule
    undo.push(() => backend.dispose())
    undo.push(() => mesh.close())
    await serveModel(mesh, backend)
    return mesh
  }
  const simple = { name: 'clerk', instructions: 'Do it.' }
  async function run(rule: Rule | Backend, options: Partial<AgentOptions> = {}, task = 'Double 21.') {
    const mesh = await meshWith(rule)
    const ref = await mesh.spawn(agent(mesh, { ...simple, ...options }))
    const events: AgentEvent[] = []
    const result = await runTask(ref, task, { onEvent: (event) => events.push(event) })
    return { result, events, mesh, ref }
  }

  it('thinks, acts, observes, and answers', async () => {
    const { result, events } = await run(doubling, { tools: [double] })
    assert.deepEqual([result.by, result.answer, result.steps], ['answer', '42', 2])
    assert.deepEqual(
      events.map(({ type }) => type),
      ['thought', 'acting', 'observed', 'thought', 'ended'],
    )
    const thoughts = events.flatMap((event) => (event.type === 'thought' ? [event.tokens ?? 0] : []))
    assert.equal(
      result.tokens,
      thoughts.reduce((sum, tokens) => sum + tokens, 0),
    )
  })

  it('thinks with a model that knows its tools, also where another is there that does not', async () => {
    const mesh = await memoryMesh()
    undo.push(() => mesh.close())
    const closed = new RuleBackend(() => assert.fail('it is asked'), { name: 'closed', tools: ['count_lines'] })
    const backends = [closed, new RuleBackend(doubling, { name: 'open' })]
    for (const backend of backends)
      await serveModel(await mesh.join(backend.model.name, { roles: ['inference'] }), backend)
    const front = await mesh.join('front', { roles: ['supervisor', 'worker'] })
    await eventually(() => assert.deepEqual(servedModels(front), ['closed', 'open']))
    for (const model of [undefined, 'auto']) {
      const named = model === undefined ? {} : { model }
      const ref = await front.spawn(agent(front, { ...simple, name: `clerk-${model}`, tools: [double], ...named }))
      // One that were drawn would be the wrong one half of the time.
      for (let turn = 0; turn < 5; turn += 1) assert.equal((await runTask(ref, 'Double 21.')).answer, '42')
    }
    await front.spawn(agent(front, { ...simple, name: 'stuck', tools: [double], model: 'closed' }))
    await assert.rejects(runTask(front.ref('stuck'), 'Double 21.'), {
      code: 'MODEL_UNSUITED',
      message: /closed .*does not know double/,
    })
  })

  it('answers in words as they come, where that is enough', async () => {
    const { result, events } = await run(() => 'Two words.')
    assert.deepEqual([result.by, result.answer], ['answer', 'Two words.'])
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'token' ? [event.text] : [])),
      ['Two ', 'words.'],
    )
  })

  it('answers in the form that was asked for, after being told what was wrong', async () => {
    const output = z.object({ sum: z.number() })
    const rule: Rule = (request) => call('finish', { answer: observed(request) ? { sum: 3 } : { sum: 'three' } })
    const { result } = await run(rule, { output })
    assert.deepEqual([result.by, result.output, result.steps], ['answer', { sum: 3 }, 2])
  })

  it('ends when its thoughts cannot be used', async () => {
    const { result } = await run(() => 'I would rather talk.', { output: z.object({ sum: z.number() }) })
    assert.deepEqual([result.by, result.steps], ['unusable', 3])
  })

  it('ends when it goes round in circles', async () => {
    const { result } = await run(() => call('double', { number: 1 }), { tools: [double] })
    assert.deepEqual([result.by, result.steps], ['loop', 3])
  })

  it('ends after the steps that it was given', async () => {
    let number = 0
    const { result } = await run(() => call('double', { number: number++ }), { tools: [double], budget: { steps: 4 } })
    assert.deepEqual([result.by, result.steps], ['steps', 4])
  })

  it('ends with its tokens, and never spends more than it was given', async () => {
    let number = 0
    const budget = { tokens: 3000 }
    const { result } = await run(() => call('double', { number: number++ }), {
      tools: [double],
      budget,
      maxTokens: 100,
    })
    assert.equal(result.by, 'tokens')
    assert.ok(result.steps > 1 && result.tokens <= 3000, JSON.stringify(result))
  })

  it('asks no model where what it could cost is more than its money', async () => {
    // A second costs as much as a unit, and a thought may take all of its time.
    const prices = { ...readPrices(), mesh: { hour: 3600 } }
    let asked = 0
    const rule: Rule = (request) => {
      asked += 1
      return doubling(request)
    }
    const given = { tools: [double], prices }
    const poor = await run(rule, { ...given, budget: { ms: 60_000, money: 50 } })
    assert.deepEqual([poor.result.by, poor.result.money, asked], ['money', 0, 0])
    const { result } = await run(rule, { ...given, budget: { ms: 60_000, money: 61 } })
    assert.deepEqual([result.by, asked], ['answer', 2])
    assert.ok((result.money ?? 0) > 0 && (result.money ?? 0) < 61, String(result.money))
  })

  it('ends with its time, though a model never answers', async () => {
    const stalls: Rule = (_, signal) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    const { result } = await run(stalls, { budget: { ms: 400 } })
    assert.equal(result.by, 'time')
  })

  it('goes on when a tool never returns', async () => {
    let signalled: AbortSignal | undefined
    const stuck = ownTool({
      name: 'stuck',
      description: 'Never returns.',
      args: z.object({}),
      runs: 'in-process',
      run: (_, signal) => {
        signalled = signal
        return new Promise(() => undefined)
      },
    })
    const rule: Rule = (request) => {
      const saw = observed(request)
      return saw === undefined ? call('stuck') : call('finish', { answer: saw })
    }
    const { result } = await run(rule, { tools: [stuck], toolMs: 300 })
    assert.match(result.answer, /failed: It did not return within \d+ ms/)
    assert.equal(signalled?.aborted, true)
  })

  it('takes what a tool throws, and arguments that do not fit, for observations', async () => {
    const fragile = ownTool({
      name: 'fragile',
      description: 'Throws.',
      args: z.object({ number: z.number() }),
      runs: 'in-process',
      run: () => {
        throw new Error('broken')
      },
    })
    const saw: string[] = []
    const rule: Rule = (request) => {
      const last = observed(request)
      if (last !== undefined) saw.push(last)
      if (saw.length === 0) return call('fragile', { number: 1 })
      return saw.length === 1 ? call('fragile', { number: 'one' }) : call('finish', { answer: 'so be it' })
    }
    const { result } = await run(rule, { tools: [fragile] })
    assert.equal(result.answer, 'so be it')
    assert.match(saw[0] ?? '', /^failed: broken/)
    assert.match(saw[1] ?? '', /^failed: fragile: /)
  })

  it('stops thinking when its caller gives up', async () => {
    let [asked, aborted] = [false, false]
    const mesh = await meshWith(
      (_, signal) =>
        new Promise((_resolve, reject) => {
          asked = true
          signal?.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason)
          })
        }),
    )
    const ref = await mesh.spawn(agent(mesh, simple))
    const stop = new AbortController()
    const running = runTask(ref, 'Think.', { signal: stop.signal })
    await eventually(() => assert.ok(asked))
    stop.abort(new ClawmeshError('CANCELLED', 'enough'))
    await assert.rejects(running, { code: 'CANCELLED' })
    await eventually(() => assert.ok(aborted))
  })

  it('has counted what had come of an answer that was cancelled', async () => {
    const { model } = new RuleBackend(() => '')
    const endless: Backend = {
      model,
      async *generate(_, signal) {
        for (let number = 0; !signal?.aborted; number += 1) {
          yield { type: 'token', text: `${number} ` }
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      },
      dispose: async () => undefined,
    }
    const mesh = await meshWith(endless)
    const used: Record<string, unknown>[] = []
    const record = mesh.audit.record.bind(mesh.audit)
    mesh.audit.record = (event) => {
      if (event.kind === 'model.used') used.push(event.facts)
      return record(event)
    }
    const stop = new AbortController()
    let tokens = 0
    const onEvent = (event: AgentEvent) => {
      if (event.type === 'token') tokens += 1
      if (tokens === 3) stop.abort(new ClawmeshError('CANCELLED', 'enough'))
    }
    const ref = await mesh.spawn(agent(mesh, simple))
    await assert.rejects(runTask(ref, 'Think.', { signal: stop.signal, onEvent }), { code: 'CANCELLED' })
    await eventually(() => assert.equal(used.length, 1))
    assert.ok(Number(used[0]?.['burned']) >= 3, JSON.stringify(used))
    assert.equal(used[0]?.['usage'], null)
  })

  it('asks a person where its policy says so, and takes no answer for a no', async () => {
    const asking = { tools: [double], policy: { double: 'ask' } } as const
    const refused = await run(doubling, asking)
    assert.match(refused.result.answer, /refused: double was not allowed, by nobody/)
    for (const answer of ['allow', 'refuse'] as const) {
      const mesh = await meshWith(doubling)
      await mesh.spawn(actor('approver', () => [on(AskApproval, () => ({ answer, by: 'Ada' }))]))
      const ref = await mesh.spawn(agent(mesh, { ...simple, ...asking }))
      const { answer: said } = await runTask(ref, 'Double 21.')
      assert.match(said, answer === 'allow' ? /^42$/ : /not allowed, by Ada/)
    }
  })

  it('lets a person think longer than a tool may take', async () => {
    const workspace = temporaryFolder()
    undo.push(() => rmSync(workspace, { recursive: true }))
    const mesh = await meshWith(() => call('count_lines', { path: 'notes.txt' }))
    const profile = parseProfile('ask: [{ read: . }]')
    await serveSandbox(mesh, { workspace, profile })
    writeFileSync(join(workspace, 'notes.txt'), 'one')
    const left: number[] = []
    const asked = new AbortController()
    await mesh.spawn(
      actor('approver', () => [
        on(AskApproval, (_, { deadline }) => {
          left.push(deadline - mesh.now())
          asked.abort(new ClawmeshError('CANCELLED', 'it was asked'))
          return { answer: 'refuse' as const, by: 'Ada' }
        }),
      ]),
    )
    const ref = await mesh.spawn(agent(mesh, { ...simple, tools: ['count_lines'], toolMs: 1 }))
    await assert.rejects(runTask(ref, 'Count.', { signal: asked.signal }), { code: 'CANCELLED' })
    assert.ok((left[0] ?? 0) > 30_000, `${left} ms are left`)
  })

  describe('with functions of its own in the sandbox', () => {
    const args = z.object({ path: z.string() })
    const outside = 'what this process knows'
    const functions = [
      ownTool({
        name: 'total',
        description: 'Adds up the numbers of a file.',
        args,
        run: async ({ path }) => {
          const { readFileSync } = await import('node:fs')
          process.stdout.write('adding up')
          return {
            sum: readFileSync(path, 'utf8')
              .trim()
              .split('\n')
              .reduce((sum, line) => sum + Number(line), 0),
          }
        },
      }),
      ownTool({
        name: 'write',
        description: 'Writes where it may not.',
        args,
        async run({ path }) {
          const { writeFileSync } = await import('node:fs')
          writeFileSync(path, 'spoilt')
        },
      }),
      ownTool({ name: 'peek', description: 'Looks around.', args, run: () => outside }),
      ownTool({ name: 'echo', description: 'Says it again.', args, run: ({ path }) => path }),
    ]
    const hostile = '"); process.exit(3); (" \u2028 ` \\'
    const calls = [
      call('total', { path: 'numbers.txt' }),
      call('write', { path: 'numbers.txt' }),
      call('peek', { path: '' }),
      call('echo', { path: hostile }),
      call('echo', { path: 7 }),
    ]

    it('begins its program with its name and its arguments in one line, whatever they hold', () => {
      const [, , , said] = functions
      assert.ok(said?.kind === 'function')
      const program = (path: string, as?: string) => said.program({ path }, as).code.split(/[\n\r\u2028\u2029]/)
      assert.equal(program('notes.txt')[0], '// echo {"path":"notes.txt"}')
      assert.equal(program('a', 'catalog/files/echo')[0], '// catalog/files/echo {"path":"a"}')
      const [head = '', next = ''] = program(`\u2028process.exit(3)\u202e\n${'x'.repeat(200)}`)
      assert.match(head, /^\/\/ echo \{"path":"\\u\{2028\}process\.exit\(3\)\\u\{202e\}\\nx+…$/)
      assert.match(next, /^const run = /)
    })

    it('has what they give, and they have what the policy grants and nothing of its process', async () => {
      const workspace = temporaryFolder()
      undo.push(() => rmSync(workspace, { recursive: true }))
      writeFileSync(join(workspace, 'numbers.txt'), '1\n2\n39\n')
      const mesh = await meshWith(({ messages }) => {
        const seen = messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
        return seen.length === 0 ? calls : call('finish', { answer: seen.join('\n') })
      })
      await serveSandbox(mesh, { workspace, profile: await loadProfile('read-only-research') })
      const ref = await mesh.spawn(agent(mesh, { ...simple, tools: functions }))
      const seen = (await runTask(ref, 'Use them.')).answer.split('\n')
      assert.equal(seen[0], 'call 1, total: done: {"sum":42}')
      assert.match(seen[1] ?? '', /^call 2, write: failed: E(ACCES|ROFS)/)
      assert.equal(seen[2], 'call 3, peek: failed: outside is not defined')
      assert.equal(seen[3], `call 4, echo: done: ${hostile}`)
      assert.match(seen[4] ?? '', /^call 5, echo: failed: echo: .*string/)
      assert.equal(readFileSync(join(workspace, 'numbers.txt'), 'utf8'), '1\n2\n39\n')
    })

    it('is refused one that cannot stand alone, or in a place that there is not', () => {
      const definition = { name: 'x', description: '', args: z.object({}) }
      assert.throws(() => ownTool({ ...definition, run: String.prototype.trim.bind('') }), { code: 'USAGE' })
      const elsewhere = { ...definition, run: () => '', runs: 'somewhere' as 'sandbox' }
      assert.throws(() => ownTool(elsewhere), { code: 'USAGE' })
    })
  })

  describe('that delegates', () => {
    const toHelper = (agentName: string) =>
      delegate({ name: 'helper', description: 'Helps.', agent: agentName, share: 0.5 })
    /** Hands on what it is asked, and answers with what it saw. */
    const handing: Rule = (request) => {
      const saw = observed(request)
      return saw === undefined ? call('helper', { task: 'help' }) : call('finish', { answer: saw })
    }

    it('gives a part of what it has, and is charged what was spent', async () => {
      const mesh = await meshWith((request) =>
        request.messages[0]?.content === 'Help.' ? call('finish', { answer: 'helped' }) : handing(request),
      )
      await mesh.spawn(agent(mesh, { name: 'b', instructions: 'Help.' }))
      const ref = await mesh.spawn(agent(mesh, { ...simple, name: 'a', tools: [toHelper('b')] }))
      const { answer, tokens } = await runTask(ref, 'Get help.')
      assert.equal(answer, 'done: helped')
      const alone = await runTask(mesh.ref('b'), 'Help.')
      assert.ok(tokens > alone.tokens)
    })

    it('cannot have a child spend more than it gave', async () => {
      let number = 0
      const mesh = await meshWith((request) =>
        request.messages[0]?.content === 'Help.' ? call('double', { number: number++ }) : handing(request),
      )
      await mesh.spawn(agent(mesh, { name: 'b', instructions: 'Help.', tools: [double], maxTokens: 100 }))
      const options = { ...simple, name: 'a', tools: [toHelper('b')], budget: { tokens: 6000 }, maxTokens: 100 }
      const { answer, tokens } = await runTask(await mesh.spawn(agent(mesh, options)), 'Get help.')
      assert.match(answer, /failed: b: what is left of \d+ tokens is too little/)
      assert.ok(tokens <= 6000)
    })

    it('gives it a part of its money, and is charged what it says it spent', async () => {
      const mesh = await meshWith((request) =>
        request.messages[0]?.content === 'Help.' ? call('finish', { answer: 'helped' }) : handing(request),
      )
      const prices = { ...readPrices(), mesh: { hour: 3600 } }
      await mesh.spawn(agent(mesh, { name: 'b', instructions: 'Help.', prices }))
      const options = { ...simple, name: 'a', tools: [toHelper('b')], prices }
      const given: (number | undefined)[] = []
      const record = mesh.audit.record.bind(mesh.audit)
      mesh.audit.record = (event) => {
        if (event.kind === 'task.started') given.push((event.facts['budget'] as { money?: number }).money)
        return record(event)
      }
      const ref = await mesh.spawn(agent(mesh, options))
      const rich = await runTask(ref, { task: 'Get help.', budget: { ms: 60_000, money: 1000 } })
      assert.equal(rich.answer, 'done: helped')
      assert.ok((given[1] ?? 1000) < 500 && (rich.money ?? 0) > 0 && (rich.money ?? 0) < 60, `${given} ${rich.money}`)
      // Its half is less than a thought of the other could cost.
      const { answer } = await runTask(ref, { task: 'Get help.', budget: { ms: 60_000, money: 100 } })
      assert.match(answer, /failed: b: what is left of [\d.]+ of money is too little/)
    })

    it('does not go round in circles: nobody waits for somebody who waits for him', async () => {
      const mesh = await meshWith(handing)
      const ring = { a: 'b', b: 'c', c: 'a' }
      for (const [name, next] of Object.entries(ring))
        await mesh.spawn(agent(mesh, { ...simple, name, tools: [toHelper(next)] }))
      const { answer } = await runTask(mesh.ref('a'), 'Get help.')
      assert.match(answer, /denied: the task would go round in a circle: a → b → c → a/)
    })

    it('hands a task over, typed, and ends with the other’s answer, or goes on where there is none', async () => {
      const refund = z.object({ order: z.int(), why: z.string() })
      const output = z.object({ euros: z.number() })
      const over = handoff({
        name: 'to_refunds',
        description: 'Takes refunds over.',
        agent: 'refunds',
        args: refund,
        words: ({ order, why }) => `Refund order ${order}: ${why}`,
      })
      let euros: unknown = 12
      const mesh = await meshWith((request) => {
        const saw = observed(request)
        const [system, user] = request.messages.map(({ content }) => content)
        if (system === 'Refund.')
          return user === 'Refund order 7: broken' ? call('finish', { answer: { euros } }) : call('finish', {})
        if (saw?.startsWith('failed: to_refunds')) return call('to_refunds', { order: 7, why: 'broken' })
        if (saw !== undefined) return call('finish', { answer: { euros: 0 } })
        return call('to_refunds', { order: 'seven' })
      })
      const refunds = agent(mesh, { name: 'refunds', instructions: 'Refund.', output: z.object({ euros: z.any() }) })
      await mesh.spawn(refunds)
      const ref = await mesh.spawn(agent(mesh, { ...simple, tools: [over], output }))
      const handed = await runTask(ref, 'The kettle is broken.')
      assert.deepEqual(handed.output, { euros: 12 })
      assert.deepEqual([handed.by, handed.reason], ['answer', 'it was handed over by to_refunds'])
      // What does not have this agent's form is no answer of its.
      euros = 'twelve'
      assert.deepEqual((await runTask(ref, 'The kettle is broken.')).output, { euros: 0 })
    })

    it('is not handed a task back that it handed over, and no more than is left of its budget', async () => {
      const budgets: number[] = []
      const mesh = await meshWith((request) => {
        const saw = observed(request)
        return saw === undefined ? call('over', { task: 'yours' }) : call('finish', { answer: saw })
      })
      for (const [name, next] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        const tools = [handoff({ name: 'over', description: 'The other.', agent: next })]
        await mesh.spawn(agent(mesh, { ...simple, name, tools, budget: { tokens: 8000 } }))
      }
      const record = mesh.audit.record.bind(mesh.audit)
      mesh.audit.record = (event) => {
        if (event.kind === 'task.started') budgets.push((event.facts['budget'] as { tokens: number }).tokens)
        return record(event)
      }
      const { answer, tokens } = await runTask(mesh.ref('a'), 'Somebody do it.')
      assert.match(answer, /denied: the task would go round in a circle: a → b → a/)
      assert.ok((budgets[1] ?? 0) < (budgets[0] ?? 0) && tokens <= 8000, `${budgets} ${tokens}`)
    })

    it('is charged all that it set aside for a child that dies', async () => {
      const mesh = await meshWith((request) => {
        if (request.messages[0]?.content === 'Help.') throw new Error('the model dies')
        return handing(request)
      })
      await mesh.spawn(agent(mesh, { name: 'b', instructions: 'Help.' }))
      const options = { ...simple, name: 'a', tools: [toHelper('b')], budget: { tokens: 10_000, ms: 3000 } }
      const { tokens } = await runTask(await mesh.spawn(agent(mesh, options)), 'Get help.')
      assert.ok(tokens > 3000, `${tokens}`)
    })
  })

  it('uses the general tools in a sandbox, and reads what they found', async () => {
    const workspace = temporaryFolder()
    undo.push(() => rmSync(workspace, { recursive: true }))
    writeFileSync(join(workspace, 'costs.csv'), 'item,price\npen,2\ninkpot,3\n')
    const query = { files: ['costs.csv'], sql: 'SELECT item, price FROM costs WHERE price > 2' }
    const mesh = await meshWith((request) => {
      const saw = observed(request)
      return saw === undefined ? call('query_tables', query) : call('finish', { answer: saw })
    })
    await serveSandbox(mesh, { workspace, profile: await loadProfile('read-only-research') })
    const ref = await mesh.spawn(agent(mesh, { ...simple, tools: ['query_tables', 'shell'] }))
    assert.equal((await runTask(ref, 'What costs most?')).answer, 'done: item\tprice\ninkpot\t3')
    const held = [...toolbox(['query_tables', 'write_file', 'shell', 'python', 'node', 'patch_files']).values()]
    // What may have had an effect is not done again by itself.
    assert.deepEqual(
      held.map((tool) => tool.kind === 'sandboxed' && tool.repeatable),
      [true, true, false, false, false, false],
    )
  })

  it('has a tool of the closed set run in a sandbox, chosen by the model that ships', async () => {
    const workspace = temporaryFolder()
    undo.push(() => rmSync(workspace, { recursive: true, force: true }))
    writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\nthree\n')
    const mesh = await meshWith(await OnnxBackend.open({ folder: shippedModelFolder }))
    await serveSandbox(mesh, { workspace, profile: await loadProfile('read-only-research') })
    const ref = await mesh.spawn(agent(mesh, { ...simple, tools: ['count_lines', 'calculate'] }))
    const counted = await runTask(ref, 'how many lines has notes.txt')
    assert.deepEqual([counted.by, counted.answer], ['answer', '3 lines'])
    const computed = await runTask(ref, 'What is 6 times 7?')
    assert.match(computed.answer, /42/)
    const lost = await runTask(ref, 'how many lines has gone.txt')
    assert.equal(lost.by, 'unusable')
    assert.match(lost.reason, /count_lines was failed|count_lines was denied|count_lines was refused/)
    await assert.rejects(
      mesh.spawn(agent(mesh, { ...simple, name: 'wants-more', tools: [double] })).then((other) => runTask(other, 'x')),
      { code: 'MODEL_UNSUITED' },
    )
  })
})
