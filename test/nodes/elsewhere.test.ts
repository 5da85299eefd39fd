/**
 * Agents, workers, voters and the gateway of a mesh with a provider that records every byte: what they ask, with files that have labels, and with each part
 * of the router broken in turn. The sandbox is a real one, and the provider a real server.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it, mock } from 'node:test'
import { z } from 'zod'
import type { GenerateRequest } from '../../inference/backend.js'
import type { AuditEvent } from '../../mesh/audit/event.js'
import type { MeshNode } from '../../mesh/index.js'
import { agent, runTask } from '../../nodes/agents/agent/agent.js'
import { delegate } from '../../nodes/agents/agent/tool.js'
import { actions } from '../../nodes/agents/authority.js'
import { CastBallot } from '../../nodes/agents/debate/ballot.js'
import { debate } from '../../nodes/agents/debate/debate.js'
import { debater } from '../../nodes/agents/debate/debater.js'
import { DoPart, worker } from '../../nodes/agents/job/worker.js'
import { openSession, routerOf } from '../../nodes/agents/model/privacy.js'
import { think } from '../../nodes/agents/model/think.js'
import { AskElsewhere, elsewhereName, serveElsewhere } from '../../nodes/elsewhere.js'
import { ApiKeys } from '../../nodes/gateway/http/keys.js'
import { type Gateway, openGateway } from '../../nodes/gateway/server.js'
import { serveModel, serveSandbox } from '../../nodes/process/serve.js'
import { ClawmeshError } from '../../policies/errors.js'
import { parseProfile } from '../../policies/profile.js'
import { ProviderStore } from '../../router/provider/store.js'
import { Vault } from '../../router/pseudonym/vault.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../kit/mesh.js'
import { call, RuleBackend } from '../kit/rules.js'
import { type Cloud, openCloud, streamChunks } from '../router/cloud.js'
import { leaked } from '../router/data/canary.js'
import { secretKey, shipped } from '../router/kit.js'
import { ask, errorOf } from './gateway/stand.js'

const rules = shipped
  .replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]')
  .replace(
    /^order: \{\}$/m,
    'order: { prices: [{ model: mesh, upTo: hard, input: 2, output: 2 }, { model: cloud/large, upTo: moderate, input: 1, output: 1 }] }',
  )
  .replace(/^files: \[\]$/m, 'files: [{ path: board, label: RESTRICTED, categories: [FIN] }]')
/** Stands in a file that nothing but its path makes sensitive. */
const plan = 'we move the harbour works to Lisbon in April'
const address = 'anna.lindqvist@example.org'

interface Asked {
  messages: { role: string; content: string }[]
}

/** What the provider does: reads the file that it is asked for, then says what it saw. */
function frontier(body: string, response: ServerResponse): void {
  const { messages } = JSON.parse(body) as Asked
  const last = messages.at(-1)?.content ?? ''
  const path = /read (\S+)/.exec(last)?.[1]
  if (path === undefined) return streamChunks(response, ['It says: ', last])
  const called = { index: 0, function: { name: 'first_lines', arguments: JSON.stringify({ path, count: 5 }) } }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(`data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [called] } }] })}\n\n`)
  response.end('data: [DONE]\n\n')
}

describe('a mesh with a provider elsewhere', () => {
  let mesh: TestMesh
  let cloud: Cloud
  let gateway: Gateway
  /** With less patience: for what is tried again until its time is over. */
  let brief: Gateway
  let holder: MeshNode
  let here: MeshNode
  let model: MeshNode
  let key: string
  let count = 0
  /** Of the holder's clock. */
  let aheadMs = 0
  const local: GenerateRequest[] = []
  const undo: (() => unknown)[] = []

  before(async () => {
    const folder = temporaryFolder()
    undo.push(() => rmSync(folder, { recursive: true, force: true }))
    const workspace = join(folder, 'workspace')
    mkdirSync(join(workspace, 'board'), { recursive: true })
    writeFileSync(join(workspace, 'board', 'plan.txt'), `${plan}\n`)
    writeFileSync(join(workspace, 'notes.txt'), `the printer is on the second floor\nask ${address} for paper\n`)
    cloud = await openCloud()
    undo.push(() => cloud.close())
    const store = new ProviderStore(join(folder, 'providers.sealed'), randomBytes(32))
    store.add('cloud', { form: 'openai', url: cloud.url, key: secretKey, models: ['large', 'unnamed'] })
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    holder = await mesh.join('operator', {
      roles: ['authority', 'supervisor', 'gateway'],
      now: () => Date.now() + aheadMs,
    })
    await serveElsewhere(holder, { rules, store })
    here = await mesh.join('here', { roles: ['supervisor', 'worker', 'sandbox'] })
    await serveSandbox(here, { workspace, profile: parseProfile('filesystem_policy: { read_only: [.] }') })
    for (const [name, asked] of [
      ['frontier', 'cloud/large'],
      ['careful', 'auto'],
    ] as const)
      await here.spawn(
        agent(here, { name, instructions: 'Do it.', model: asked, tools: ['first_lines', 'list_files'] }),
      )
    const onward = delegate({ name: 'onward', description: 'Another agent.', agent: 'careful' })
    await here.spawn(agent(here, { name: 'chief', instructions: 'Do it.', model: 'cloud/large', tools: [onward] }))
    await here.spawn(worker(here), { as: 'worker-1' })
    await here.spawn(debater(here), { as: 'voter', args: { model: 'cloud/large' } })
    gateway = await openGateway({
      node: holder,
      data: folder,
      host: '127.0.0.1',
      port: 0,
      limits: { answerMs: 60_000 },
    })
    undo.push(() => gateway.close())
    const limits = { answerMs: 3000 }
    brief = await openGateway({ node: holder, data: folder, host: '127.0.0.1', port: 0, limits })
    undo.push(() => brief.close())
    key = new ApiKeys(folder).add('me', 'developer', Date.now())
    await here.directory.wait(() => here.directory.node('operator')?.advert['elsewhere'], 60_000)
  })
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })
  beforeEach(async () => {
    cloud.answer = frontier
    cloud.sent.length = 0
    local.length = 0
    model = await mesh.join(`model-${++count}`, { roles: ['inference'] })
    const backend = new RuleBackend((request) => {
      local.push(request)
      return request.tools ? call('finish', { answer: 'said here' }) : 'said here'
    })
    await serveModel(model, backend)
    for (const node of [here, holder])
      await node.directory.wait(() => node.directory.node(model.name)?.advert['model'], 60_000)
  })
  afterEach(async () => {
    mock.restoreAll()
    await model.close()
    for (const node of [here, holder])
      await eventually(() => assert.equal(node.directory.node(model.name) === undefined, true))
  })

  const sent = () => cloud.sent.join('\n')
  const seesNothingOf = (...values: string[]) => assert.deepEqual(leaked(sent(), values), [])
  const chat = (body: object, at = gateway) =>
    ask(at.url, '/v1/chat/completions', { method: 'POST', key, body: { model: 'cloud/large', ...body } })
  const said = (content: string) => ({ messages: [{ role: 'user', content }] })
  const isRefused = async (reply: ReturnType<typeof chat>) => {
    const { status, text } = await reply
    assert.equal(status, 403, text)
  }
  /** Facts of the events of a kind that a node records from now on. */
  const watch = (node: MeshNode, kind: AuditEvent['kind']) => {
    const seen: AuditEvent[] = []
    for (const way of ['record', 'intend'] as const) {
      const real = node.audit[way].bind(node.audit)
      mock.method(node.audit, way, (event: AuditEvent) => {
        if (event.kind === kind) seen.push(event)
        return real(event)
      })
    }
    return seen
  }

  describe('asked through the gateway', () => {
    it('sends what may leave, redacted, and puts the values back in the answer, streamed or not', async () => {
      for (const streamed of [false, true]) {
        const { status, text } = await chat({ ...said(`Is ${address} spelled right?`), stream: streamed })
        assert.equal(status, 200, text)
        assert.match(text, /anna\.lindqvist@example\.org/)
      }
      assert.equal(cloud.sent.length, 2)
      assert.match(sent(), /\[EMAIL_1_[a-z]{6}\]/)
      seesNothingOf(address)
    })

    it('sends nothing of what must stay, whatever it is in', async () => {
      for (const body of [
        said('password: hunter2xx!'),
        said('The patient was diagnosed with diabetes.'),
        { messages: [{ role: 'system', content: 'Kontoauszug: alter Saldo 1.234,56 EUR' }, ...said('Sum?').messages] },
        { ...said('hello'), tools: [{ type: 'function', function: { name: 'mail', description: `to ${address}` } }] },
        { ...said('What is the plan?'), metadata: { label: 'RESTRICTED' } },
        { ...said('What is the plan?'), metadata: { label: 'INTERNAL', categories: 'PHI' } },
      ])
        await isRefused(chat(body))
      assert.deepEqual(cloud.sent, [])
      assert.deepEqual(local, [])
    })

    it('takes a model of the mesh for `auto` where the rules need one, and says which it took', async () => {
      const open = await chat({ ...said('hello'), model: 'auto' })
      assert.equal(JSON.parse(open.text).model, 'cloud/large')
      const kept = await chat({ ...said('The patient was diagnosed with diabetes.'), model: 'auto' })
      assert.equal(kept.status, 200, kept.text)
      assert.notEqual(JSON.parse(kept.text).model, 'cloud/large')
      assert.deepEqual([cloud.sent.length, local.length], [1, 1])
      seesNothingOf('diabetes')
    })

    it('asks for `auto` the cheapest that is good enough for how hard it looks', async () => {
      const { text } = await chat({
        ...said('Prove it step by step, derive the bound and evaluate it.'),
        model: 'auto',
      })
      assert.notEqual(JSON.parse(text).model, 'cloud/large')
      assert.deepEqual([cloud.sent.length, local.length], [0, 1])
    })

    it('knows no model that the rules do not name, and lets no secret to a model of the mesh either', async () => {
      assert.equal((await chat({ ...said('hello'), model: 'cloud/unnamed' })).status, 404)
      await isRefused(chat({ ...said('password: hunter2xx!'), model: 'auto' }))
      assert.deepEqual([cloud.sent, local], [[], []])
    })

    it('refuses metadata whose label is none', async () => {
      const reply = await chat({ ...said('hello'), metadata: { label: 'HARMLESS' } })
      assert.deepEqual([reply.status, errorOf(reply).code], [400, 'MESSAGE_INVALID'])
    })
  })

  for (const [which, digest] of [
    ['whose tokens are known', 'sha256:1'],
    ['of which only words are known', null],
  ] as const)
    it(`is not asked when a model of the mesh ${which} is lost amid its answer, though the prompt might leave`, async () => {
      await model.close()
      for (const node of [here, holder])
        await eventually(() => assert.equal(node.directory.node(model.name) === undefined, true))
      model = await mesh.join(`model-${++count}`, { roles: ['inference'] })
      const backend = new RuleBackend(() => 'one word')
      await serveModel(model, {
        model: { ...backend.model, digest },
        dispose: async () => undefined,
        async *generate(_, signal) {
          yield { type: 'token', text: 'one', ...(digest === null ? {} : { ids: [1] }) }
          await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))))
        },
      })
      await holder.directory.wait(() => holder.directory.node(model.name)?.advert['model'], 60_000)
      let words = 0
      const thinking = {
        session: await openSession(holder, ''),
        actor: 'test',
        deadline: holder.now() + 25_000,
        signal: new AbortController().signal,
        trace: '',
        onEvent: async () => {
          words += 1
          await model.close()
          // Of its time it has enough left to ask again.
          aheadMs = 23_500
        },
      }
      const request = { messages: [{ role: 'user' as const, content: 'hello' }], maxTokens: 9, temperature: 0 }
      await assert.rejects(think(holder, request, thinking), { code: 'UNREACHABLE' })
      assert.deepEqual([words, cloud.sent], [1, []])
      aheadMs = 0
      // It is the loss that keeps it in: a question that no model of the mesh has seen goes there.
      await think(holder, request, { ...thinking, deadline: holder.now() + 60_000, onEvent: () => undefined })
      assert.equal(cloud.sent.length, 1)
    })

  describe('asked by agents', () => {
    it('sees what they read in files that may leave, redacted', async () => {
      const { answer, by, seen } = await runTask(holder.ref('frontier'), 'read notes.txt')
      assert.equal(by, 'answer')
      assert.match(answer, /second floor/)
      assert.deepEqual(seen, { label: 'CONFIDENTIAL', categories: ['PII'] })
      assert.equal(cloud.sent.length, 2)
      seesNothingOf(address)
    })

    it('sees nothing of a file that its path keeps here, and nothing from then on', async () => {
      await assert.rejects(runTask(holder.ref('frontier'), 'read board/plan.txt'), { code: 'DENIED' })
      assert.equal(cloud.sent.length, 1)
      seesNothingOf(plan)
      assert.deepEqual(local, [])
    })

    it('is left for a model of the mesh by an agent that may choose', async () => {
      const { answer, seen } = await runTask(holder.ref('careful'), 'read board/plan.txt')
      assert.equal(answer, 'said here')
      assert.deepEqual(seen, { label: 'RESTRICTED', categories: ['FIN'] })
      assert.match(JSON.stringify(local), new RegExp(plan))
      seesNothingOf(plan)
    })

    it('is not asked under a budget of money where nobody knows its price: the mesh is, or nobody', async () => {
      const budget = { money: 1 }
      const { answer, money } = await runTask(holder.ref('careful'), { task: 'Say something.', budget })
      assert.deepEqual([answer, money], ['said here', 0])
      await assert.rejects(runTask(holder.ref('frontier'), { task: 'Say something.', budget }), {
        code: 'PRICE_UNKNOWN',
        message: /no price for cloud\/large/,
      })
      assert.deepEqual(cloud.sent, [])
      await runTask(holder.ref('careful'), 'Say something.')
      assert.equal(cloud.sent.length, 1)
    })

    it('sees nothing of what an agent was told by another that has seen such a file', async () => {
      cloud.answer = (body, response) => {
        if (!body.includes('"onward"')) return frontier(body, response)
        const task = JSON.stringify({ task: 'read board/plan.txt' })
        const called = { index: 0, function: { name: 'onward', arguments: task } }
        response.writeHead(200)
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [called] } }] })}\n\n`)
        response.end('data: [DONE]\n\n')
      }
      await assert.rejects(runTask(holder.ref('chief'), 'Find out.'), { code: 'DENIED' })
      seesNothingOf(plan)
      const seen = { label: 'RESTRICTED' as const, categories: [] }
      const before = cloud.sent.length
      await assert.rejects(runTask(holder.ref('frontier'), { task: 'Sum it up.', seen }), { code: 'DENIED' })
      assert.equal(cloud.sent.length, before)
    })

    it('is not asked by a voter whose question must stay, nor by a worker while the mesh has a model', async () => {
      const question = 'Does the patient with diabetes need insulin?'
      const ballot = { question, round: 1, heard: [] }
      await assert.rejects(here.ref('voter').ask(CastBallot, CastBallot.request.parse(ballot)), { code: 'DENIED' })
      const asked = { question: 'Does it close?', voters: [{ name: 'voter' }], rounds: 1, roundMs: 60_000 }
      const closed = await debate(holder, { ...asked, seen: { label: 'RESTRICTED', categories: [] } })
      assert.match(JSON.stringify(closed.transcript.events), /DENIED/)
      await holder
        .ref('worker-1')
        .ask(DoPart, { words: 'how many lines has notes.txt', workspace: 'none' }, { timeoutMs: 60_000 })
        .catch(() => undefined)
      assert.deepEqual(cloud.sent, [])
      // It is what the question was made of that kept it.
      await debate(holder, asked)
      assert.equal(cloud.sent.length, 1)
    })

    it('is asked again by the rules of the mesh, whatever the one who asks says of the prompt', async () => {
      const request = {
        messages: [{ role: 'user' as const, content: `Write to ${address}` }],
        maxTokens: 9,
        temperature: 0,
      }
      const asking = (content: string) => ({
        model: 'cloud/large',
        request: { ...request, messages: [{ role: 'user' as const, content }] },
        seen: { label: 'PUBLIC' as const, categories: [] },
        actor: 'liar',
      })
      const to = holder.ref(elsewhereName('operator'))
      for await (const _ of to.stream(AskElsewhere, asking(`Write to ${address}`)));
      seesNothingOf(address)
      await assert.rejects(
        async () => {
          for await (const _ of to.stream(AskElsewhere, asking('password: hunter2xx!')));
        },
        { code: 'DENIED' },
      )
      assert.equal(cloud.sent.length, 1)
    })

    it('is on the trail: each decision, each way out, and what it used', async () => {
      const [decided, left, used] = [
        watch(here, 'route.decided'),
        watch(holder, 'egress.intended'),
        watch(here, 'model.used'),
      ]
      cloud.answer = (_, response) => {
        response.writeHead(200)
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'well' } }] })}\n\n`)
        const usage = { prompt_tokens: 900, completion_tokens: 12, prompt_tokens_details: { cached_tokens: 700 } }
        response.end(`data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`)
      }
      await runTask(holder.ref('frontier'), `Greet ${address}`)
      assert.deepEqual([decided.length, left.length, used.length], [1, 1, 1])
      assert.equal(decided[0]?.facts['rule'], 'persons-are-redacted')
      const facts = z.looseObject({}).parse(used[0]?.facts)
      assert.deepEqual(
        { ...facts, seconds: 0 },
        {
          model: 'cloud/large',
          zone: 'elsewhere',
          roles: ['supervisor', 'worker', 'sandbox'],
          usage: { promptTokens: 900, cachedTokens: 700, outputTokens: 12 },
          seconds: 0,
          burned: 0,
          gpu: false,
          prices: 'example-1',
        },
      )
      assert.deepEqual(leaked(JSON.stringify([decided, left, used]), [address]), [])
    })
  })

  describe('when a part fails, refuses and sends nothing:', () => {
    const refusesAll = async () => {
      const { status } = await chat(said(`Is ${address} right?`), brief)
      assert.ok(status >= 400)
      await assert.rejects(asks(`Is ${address} right?`))
      assert.deepEqual(cloud.sent, [])
    }
    const asks = async (task: string) => {
      const { by } = await runTask(holder.ref('frontier'), { task, budget: { ms: 800 } })
      assert.notEqual(by, 'time')
    }

    it('a detector, where the question is asked', async () => {
      const broken = {
        name: 'broken',
        find: () => {
          throw new Error('the detector is broken')
        },
      }
      for (const node of [here, holder]) {
        const router = await routerOf(node)
        const { settings } = router
        Object.assign(router, { settings: { ...settings, more: [broken] } })
        try {
          if (node === holder) await isRefused(chat(said('hello')))
          else await assert.rejects(asks('hello'), { code: 'DENIED' })
        } finally {
          Object.assign(router, { settings })
        }
      }
      assert.deepEqual(cloud.sent, [])
    })

    it('the vault', async () => {
      mock.method(Vault.prototype, 'pseudonym', () => {
        throw new Error('the vault is lost')
      })
      await refusesAll()
    })

    it('the audit trail of the node that asks', async () => {
      mock.method(here.audit, 'record', async ({ kind }: AuditEvent) => {
        if (kind === 'route.decided') throw new ClawmeshError('DISK_FULL', 'The disk is full.')
      })
      await assert.rejects(asks(`Is ${address} right?`))
      assert.deepEqual(cloud.sent, [])
    })

    it('the audit stream, where the keys are', async () => {
      mock.method(holder.audit, 'intend', () =>
        Promise.reject(new ClawmeshError('AUDIT_UNAVAILABLE', 'The stream is down.')),
      )
      await refusesAll()
    })

    it('the audit stream, that answers after the question was given up', async () => {
      let acknowledge: () => void = () => undefined
      let isAsked = false
      mock.method(holder.audit, 'intend', () => {
        isAsked = true
        return new Promise<void>((acknowledged) => {
          acknowledge = acknowledged
        })
      })
      // One whose time is over before it gets there asks nobody.
      while (!isAsked)
        await assert.rejects(
          runTask(holder.ref('frontier'), { task: 'hello', budget: { ms: 2000 } }).then(({ by }) => {
            if (by === 'time') throw new Error('in time')
          }),
        )
      acknowledge()
      await new Promise(setImmediate)
      await chat(said('the next question'), brief).catch(() => undefined)
      assert.equal(sent().includes('hello'), false)
    })

    it('the model of the mesh: what must stay is refused, and not sent elsewhere instead', async () => {
      await model.close()
      for (const node of [here, holder])
        await eventually(() => assert.equal(node.directory.node(model.name) === undefined, true))
      await assert.rejects(runTask(holder.ref('careful'), 'read board/plan.txt'), { code: 'DENIED' })
      await isRefused(chat({ ...said('The patient was diagnosed with diabetes.'), model: 'auto' }))
      seesNothingOf(plan, 'diabetes')
    })

    it('the provider, which takes no question: it is asked a few times and no more, and where any model will do one of the mesh answers', async () => {
      cloud.answer = (_, response) => void response.writeHead(503).end()
      const reply = await chat({ ...said('hello'), model: 'cloud/large' })
      assert.ok(reply.status >= 500, reply.text)
      assert.deepEqual([cloud.sent.length, local.length], [5, 0])
      const any = await chat({ ...said('hello'), model: 'auto' })
      assert.equal(any.status, 200, any.text)
      assert.deepEqual([cloud.sent.length, local.length], [10, 1])
    })

    it('the provider, in the middle of its answer', async () => {
      cloud.answer = (_, response) => {
        response.writeHead(200)
        response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`)
        response.destroy()
      }
      const reply = await chat({ ...said('hello'), stream: true })
      assert.match(reply.text, /error/)
      assert.doesNotMatch(reply.text, /\[DONE\]/)
      // Each of them may have to be paid for.
      assert.equal(cloud.sent.length, 3)
      // What broke off has cost all that was set aside for it: a grant is not for as many tries as there is time for.
      await model.close()
      for (const node of [here, holder])
        await eventually(() => assert.equal(node.directory.node(model.name) === undefined, true))
      cloud.sent.length = 0
      const entrust = actions(1, { tokens: 2000 })
      const asked = holder
        .ref('worker-1')
        .ask(DoPart, { words: 'how many lines has notes.txt', workspace: 'none' }, { entrust })
      await assert.rejects(asked, { code: 'DENIED', message: /tokens left/ })
      assert.ok(cloud.sent.length > 0 && cloud.sent.length <= 4, String(cloud.sent.length))
    })
  })
})
