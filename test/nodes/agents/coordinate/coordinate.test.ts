import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import type { HardwareAdvert } from '../../../../inference/hardware.js'
import { actor, localMesh, type MeshNode, on } from '../../../../mesh/index.js'
import { agent } from '../../../../nodes/agents/agent/agent.js'
import { RunTask } from '../../../../nodes/agents/agent/event.js'
import { assign } from '../../../../nodes/agents/coordinate/assign.js'
import { type Coordination, coordinate, mapFiles, planSchema } from '../../../../nodes/agents/coordinate/coordinate.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { call, type Rule, RuleBackend } from '../../../kit/rules.js'

const wordsOf = ({ messages }: Parameters<Rule>[0]) => messages[1]?.content ?? ''
const roleOf = ({ messages }: Parameters<Rule>[0]) => messages[0]?.content ?? ''

describe('an assignment', () => {
  const gigabyte = 2 ** 30
  const hardware = (memory: number, accelerator?: number): HardwareAdvert => ({
    platform: 'linux',
    arch: 'x64',
    cpu: { model: { value: 'x', source: 's' }, threads: { value: 8, source: 's' }, flags: { value: [], source: 's' } },
    memory: { value: { total: memory * gigabyte, free: gigabyte }, source: 's' },
    accelerators:
      accelerator === undefined
        ? []
        : [
            {
              vendor: 'nvidia',
              name: { value: 'x', source: 's' },
              memory: { value: { total: accelerator * gigabyte, free: 0 }, source: 's' },
              unifiedMemory: false,
            },
          ],
  })
  const candidate = (name: string, skills: string[], advert: Record<string, unknown> | undefined = {}, load = 0) => ({
    name,
    skills,
    advert,
    load,
  })
  const nobody = new Set<string>()

  it('goes to the least busy of those with the skill', () => {
    const workers = [candidate('a', ['read'], {}, 2), candidate('b', ['read'], {}, 1), candidate('c', ['write'])]
    assert.equal(assign({ task: 't', skill: 'read' }, workers, nobody), 'b')
    assert.equal(assign({ task: 't', skill: 'read' }, workers, new Set(['b'])), 'a')
    assert.deepEqual(assign({ task: 't', skill: 'fly' }, workers, nobody), { why: 'no worker is skilled in fly' })
  })

  it('goes to a machine that says it has what is needed', () => {
    const workers = [
      candidate('small', [], { hardware: hardware(8), sandbox: true }),
      candidate('large', [], { hardware: hardware(64, 24) }),
      candidate('silent', []),
    ]
    assert.equal(assign({ task: 't', needs: { memory: 32 * gigabyte } }, workers, nobody), 'large')
    assert.equal(assign({ task: 't', needs: { accelerator: 0 } }, workers, nobody), 'large')
    assert.equal(assign({ task: 't', needs: { sandbox: true } }, workers, nobody), 'small')
    assert.match(
      JSON.stringify(assign({ task: 't', needs: { accelerator: 80 * gigabyte } }, workers, nobody)),
      /machine/,
    )
  })
})

describe('a coordination', () => {
  const meshes: MeshNode[] = []
  afterEach(async () => {
    await Promise.all(meshes.splice(0).map((mesh) => mesh.close()))
  })

  async function meshWith(rule: Rule): Promise<MeshNode> {
    const mesh = await localMesh()
    meshes.push(mesh)
    await serveModel(mesh, new RuleBackend(rule))
    return mesh
  }
  /** Says what it was asked, in capitals. */
  const shouting: Rule = (request) => wordsOf(request).toUpperCase()
  const merge: Coordination<string>['merge'] = (answers) => answers.map(({ answer }) => answer).join(' ')
  const clerks = async (mesh: MeshNode, ...names: string[]) => {
    for (const name of names) await mesh.spawn(agent(mesh, { name, instructions: name }))
    return names.map((name) => ({ name }))
  }
  const dead = (name: string) =>
    actor(name, () => [
      on(RunTask, () => {
        throw new Error('dead')
      }),
    ])

  it('does the parts, several at once, and keeps their order', async () => {
    const mesh = await meshWith(shouting)
    const workers = await clerks(mesh, 'a', 'b')
    const parts = mapFiles(['x', 'y', 'z', 'u', 'v'], (file) => `read ${file}`)
    const { status, result, answered, tokens } = await coordinate(mesh, { task: 't', parts, workers, merge })
    assert.deepEqual([status, result], ['done', 'READ X READ Y READ Z READ U READ V'])
    assert.deepEqual(new Set(answered.map(({ worker }) => worker)), new Set(['a', 'b']))
    assert.ok(tokens > 0)
  })

  it('gives a part to somebody else when its worker dies', async () => {
    const mesh = await meshWith(shouting)
    const workers = [{ name: 'a-dead' }, ...(await clerks(mesh, 'b'))]
    await mesh.spawn(dead('a-dead'))
    const { status, answered } = await coordinate(mesh, { task: 't', parts: [{ task: 'x' }], workers, merge })
    assert.deepEqual([status, answered[0]?.worker], ['done', 'b'])
  })

  it('gives a part that may not be done twice to nobody else, and says that it is in doubt', async () => {
    const mesh = await meshWith(shouting)
    const workers = [{ name: 'a-dead' }, ...(await clerks(mesh, 'b'))]
    await mesh.spawn(dead('a-dead'))
    const parts = [{ task: 'x', once: true }]
    const { status, givenUp } = await coordinate(mesh, { task: 't', parts, workers, merge })
    assert.equal(status, 'failed')
    assert.match(givenUp[0]?.reasons.join('; ') ?? '', /^a-dead: .*; how much of it was done is in doubt/)
  })

  it('gives a part up with the reasons, and goes on with the others', async () => {
    const mesh = await meshWith((request) =>
      wordsOf(request) === 'impossible' ? call('nothing') : wordsOf(request).toUpperCase(),
    )
    const workers = await clerks(mesh, 'a', 'b')
    const parts = [{ task: 'easy' }, { task: 'impossible' }, { task: 'skilled', skill: 'flying' }]
    const { status, result, givenUp } = await coordinate(mesh, { task: 't', parts, workers, merge })
    assert.deepEqual([status, result], ['partial', 'EASY'])
    const [impossible, skilled] = givenUp
    for (const worker of ['a', 'b'])
      assert.ok(impossible?.reasons.some((reason) => reason.startsWith(`${worker}: it called nothing 3 times`)))
    assert.deepEqual(skilled?.reasons, ['no worker is skilled in flying'])
  })

  it('lets an agent plan and another one put the answers together', async () => {
    const mesh = await meshWith((request) => {
      if (roleOf(request) === 'Plan.') return call('finish', { answer: { parts: [{ task: 'one' }, { task: 'two' }] } })
      if (roleOf(request) === 'Merge.') return `merged ${wordsOf(request).split('\n').length - 2}`
      return wordsOf(request).toUpperCase()
    })
    await mesh.spawn(agent(mesh, { name: 'planner', instructions: 'Plan.', output: planSchema }))
    await mesh.spawn(agent(mesh, { name: 'merger', instructions: 'Merge.' }))
    const workers = await clerks(mesh, 'a')
    const { result } = await coordinate(mesh, {
      task: 't',
      parts: { planner: 'planner' },
      workers,
      merge: { merger: 'merger' },
    })
    assert.equal(result, 'merged 2')
  })

  it('fails with the reason when its planner cannot plan', async () => {
    const mesh = await meshWith(() => 'no')
    const plain = await clerks(mesh, 'planner')
    const failed = await coordinate(mesh, { task: 't', parts: { planner: 'planner' }, workers: plain, merge })
    assert.equal(failed.status, 'failed')
    assert.match(failed.reason, /planner planner made no plan/)
  })

  it('fails with the reason when its answers cannot be put together', async () => {
    const mesh = await meshWith(shouting)
    const workers = await clerks(mesh, 'a')
    const { status, reason, answered } = await coordinate(mesh, {
      task: 't',
      parts: [{ task: 'x' }],
      workers,
      merge: () => {
        throw new ClawmeshError('USAGE', 'they do not fit')
      },
    })
    assert.deepEqual([status, answered.length], ['failed', 1])
    assert.match(reason, /they do not fit/)
  })

  it('ends when a worker stalls, and when its tokens do', async () => {
    const mesh = await meshWith(
      (_, signal) => new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    )
    const workers = await clerks(mesh, 'a')
    const stalled = await coordinate(mesh, { task: 't', parts: [{ task: 'x' }], workers, merge, partMs: 300 })
    assert.equal(stalled.status, 'failed')
    assert.match(stalled.givenUp[0]?.reasons[0] ?? '', /a: its time of \d+ ms was over/)
    const poor = await coordinate(mesh, { task: 't', parts: [{ task: 'x' }], workers, merge, budget: { tokens: 50 } })
    assert.match(poor.givenUp[0]?.reasons[0] ?? '', /tokens is too little/)
  })

  it('never spends more than its budget, however many parts there are', async () => {
    const mesh = await meshWith(shouting)
    const workers = await clerks(mesh, 'a', 'b')
    const parts = mapFiles(
      Array.from({ length: 12 }, (_, index) => `${index}`),
      (file) => `read ${file}`,
    )
    const budget = { tokens: 12_000 }
    const { tokens, answered } = await coordinate(mesh, { task: 't', parts, workers, merge, budget })
    assert.ok(tokens <= budget.tokens && answered.length > 0, `${tokens}`)
  })

  it('ends at once when its caller gives up', async () => {
    const stop = new AbortController()
    const mesh = await meshWith((_, signal) => {
      stop.abort(new ClawmeshError('CANCELLED', 'enough'))
      return new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    })
    const workers = await clerks(mesh, 'a')
    const running = coordinate(mesh, { task: 't', parts: [{ task: 'x' }], workers, merge }, { signal: stop.signal })
    await assert.rejects(running, { code: 'CANCELLED' })
  })
})
