import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { z } from 'zod'
import type { GenerateEvent, GenerateRequest } from '../../../../inference/backend.js'
import { actor, localMesh, type MeshNode, on, supervise } from '../../../../mesh/index.js'
import { createAuthority } from '../../../../mesh/seal/authority.js'
import { MemoryBroker } from '../../../../mesh/transport/memory.js'
import { type Ballot, CastBallot } from '../../../../nodes/agents/debate/ballot.js'
import { replay } from '../../../../nodes/agents/debate/course.js'
import { debate } from '../../../../nodes/agents/debate/debate.js'
import { debater } from '../../../../nodes/agents/debate/debater.js'
import { servedModels } from '../../../../nodes/agents/model/candidate.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { call, type Rule, RuleBackend } from '../../../kit/rules.js'

const json = (answer: unknown, confidence = 0.6) => JSON.stringify({ answer, confidence, reason: 'because' })
const heardIn = ({ messages }: GenerateRequest) => messages.at(-1)?.content ?? ''

describe('debaters', () => {
  const meshes: MeshNode[] = []
  afterEach(async () => {
    await Promise.all(meshes.splice(0).map((mesh) => mesh.close()))
  })

  /** A node for each model, all of one mesh. */
  async function meshOf(models: Record<string, Rule>): Promise<MeshNode> {
    const shared = { authority: createAuthority(), broker: new MemoryBroker() }
    for (const [name, rule] of Object.entries(models)) {
      const mesh = await localMesh({ name, with: shared })
      meshes.push(mesh)
      await serveModel(mesh, new RuleBackend(rule, { name }))
    }
    const [first] = meshes
    assert.ok(first)
    const all = Object.keys(models)
    assert.deepEqual(
      await first.directory.wait(() => (servedModels(first).length === all.length ? all : undefined), 60_000),
      all,
    )
    return first
  }

  it('think with different models, and are told what others think', async () => {
    const heard: string[] = []
    const mesh = await meshOf({
      // Is sure of itself, whatever it hears.
      alpha: () => json('Paris', 0.9),
      // Yields to what it hears.
      beta: (request) => {
        heard.push(heardIn(request))
        return heardIn(request).includes('"answer":"Paris"') ? json('Paris') : json('Lyon')
      },
    })
    const voters = [
      { name: 'a', model: 'alpha' },
      { name: 'b', model: 'beta' },
      { name: 'c', model: 'beta' },
    ]
    for (const { name, model } of voters) await mesh.spawn(debater(mesh), { as: name, args: { model } })
    const question = 'What is the capital of France?'
    const { outcome, votes } = await debate(mesh, { question, voters, models: 2, topology: 'star' })
    assert.deepEqual([outcome.answer, outcome.support, outcome.rounds], ['Paris', 3, 2])
    assert.deepEqual(votes[0]?.map(({ answer }) => answer).sort(), ['Lyon', 'Lyon', 'Paris'])
    assert.ok(
      heard.slice(0, 2).every((words) => words === question),
      'first votes are independent',
    )
    await assert.rejects(debate(mesh, { question, voters: voters.slice(1), models: 2 }), { code: 'MODEL_UNSUITED' })
  })

  it('judge', async () => {
    const mesh = await meshOf({
      alpha: ({ messages }) => (messages[0]?.content.startsWith('You judge') ? json('B', 1) : json('A')),
      beta: () => json('B'),
    })
    const voters = [
      { name: 'a', model: 'alpha' },
      { name: 'b', model: 'beta' },
    ]
    for (const { name, model } of voters) await mesh.spawn(debater(mesh), { as: name, args: { model } })
    await mesh.spawn(debater(mesh), { as: 'judge', args: { model: 'alpha' } })
    const { outcome } = await debate(mesh, { question: 'A or B?', voters, rounds: 1, vote: 'judge', judge: 'judge' })
    assert.deepEqual([outcome.by, outcome.answer], ['judge', 'B'])
  })

  it('lose their vote for words that are no answer, and are billed for them', async () => {
    const mesh = await meshOf({ alpha: () => json('yes'), beta: () => 'Well, it depends.' })
    const voters = ['alpha', 'alpha', 'beta'].map((model, index) => ({ name: `v${index}`, model }))
    for (const { name, model } of voters) await mesh.spawn(debater(mesh), { as: name, args: { model } })
    const { outcome, bill, transcript } = await debate(mesh, { question: 'Yes?', voters, rounds: 2 })
    assert.deepEqual([outcome.answer, outcome.support], ['yes', 2])
    assert.ok(transcript.events.some((event) => event.type === 'failed' && event.reason.includes('it depends')))
    assert.ok((bill.byVoter['v2'] ?? 0) > 0)
  })

  it('do not vote for a sum that lacks something of the question', async () => {
    const sums = ['144 / 12 + 5', '144 / 12 + 5', '144 / 12']
    const models = Object.fromEntries(
      sums.map((expression, index) => [`m${index}`, () => call('calculate', { expression })]),
    )
    const mesh = await meshOf(models)
    const voters = sums.map((_, index) => ({ name: `v${index}`, model: `m${index}` }))
    const calculate = (expression: string) => (expression.endsWith('5') ? '17' : '12')
    for (const { name, model } of voters)
      await mesh.spawn(debater(mesh, { calculate }), { as: name, args: { model, thinks: 'arithmetic' } })
    const hold = (names: string[]) =>
      debate(mesh, { question: '144 / 12, plus 5', voters: names.map((name) => ({ name })), rounds: 1, early: false })
    const { outcome, transcript } = await hold(['v0', 'v1', 'v2'])
    assert.deepEqual([outcome.answer, outcome.support], ['17', 2])
    const lost = transcript.events.find((event) => event.type === 'failed')
    assert.match(lost?.reason ?? '', /made "144 \/ 12" of the question, without 5/)
    assert.equal((await hold(['v2'])).outcome.status, 'undecided')
  })

  it('are billed for a model that was lost over the answer, too', async () => {
    let answers = 0
    class Fragile extends RuleBackend {
      override async *generate(request: GenerateRequest): AsyncIterable<GenerateEvent> {
        answers += 1
        if (answers > 1) return yield* super.generate(request)
        yield { type: 'token', text: 'I' }
        throw new ClawmeshError('MODEL_FAILED', 'its process died', { data: { lost: true } })
      }
    }
    const mesh = await localMesh({ name: 'alpha' })
    meshes.push(mesh)
    await serveModel(mesh, new Fragile(() => json('yes'), { name: 'alpha' }))
    await mesh.directory.wait(() => servedModels(mesh)[0], 60_000)
    await mesh.spawn(debater(mesh), { as: 'a', args: {} })
    const { outcome, bill } = await debate(mesh, { question: 'Yes?', voters: [{ name: 'a' }], rounds: 1 })
    assert.deepEqual([outcome.answer, answers, bill.unbilled], ['yes', 2, 1])
  })

  it('vote after they crashed and were started again', async () => {
    const crashed = new Set<string>()
    const ballot: Ballot = { answer: 'x', confidence: 0.5, reason: '', tokens: 1 }
    const fragile = actor(
      'fragile',
      ({ name }) => [
        on(CastBallot, () => {
          if (name === 'b' && !crashed.has(name)) {
            crashed.add(name)
            throw new Error('a fuse blew')
          }
          return ballot
        }),
      ],
      { args: z.unknown() },
    )
    const mesh = await localMesh({ hosts: [fragile] })
    meshes.push(mesh)
    const names = ['a', 'b', 'c']
    const supervisor = await supervise(mesh, {
      name: 'supervisor',
      children: names.map((name) => ({ name, definition: 'fragile' })),
    })
    const voters = names.map((name) => ({ name }))
    const spec = { question: 'q', voters, rounds: 2, quorum: 3, roundMs: 60_000 }
    const { outcome, bill, transcript } = await debate(mesh, spec)
    assert.deepEqual([outcome.status, outcome.support, crashed.size], ['decided', 3, 1])
    // What was lost has cost something, and nobody knows what.
    assert.ok(bill.unbilled >= 1, JSON.stringify(bill))
    assert.deepEqual([bill.asks, bill.tokens], [3 + bill.unbilled, 3])
    assert.deepEqual(replay(transcript).bill, bill)
    await supervisor.stop()
  })
})
