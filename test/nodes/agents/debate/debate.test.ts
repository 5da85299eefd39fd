import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, localMesh, type MeshNode, on } from '../../../../mesh/index.js'
import { createAuthority } from '../../../../mesh/seal/authority.js'
import { MemoryBroker } from '../../../../mesh/transport/memory.js'
import { type Ballot, CastBallot, JudgeDebate } from '../../../../nodes/agents/debate/ballot.js'
import { replay } from '../../../../nodes/agents/debate/course.js'
import { debate } from '../../../../nodes/agents/debate/debate.js'
import type { DebateSpec } from '../../../../nodes/agents/debate/rules.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { eventually } from '../../../kit/eventually.js'

type Said = string | Error | 'stalls' | null

const ballot = (answer: string | null): Ballot => ({ answer, confidence: 0.5, reason: '', tokens: 10 })

/** Voters that say what they are told to, in each round; a judge likewise. Those who stall end only when their signal does. */
function voter(said: readonly Said[], ended: string[] = [], stalled: () => void = () => undefined) {
  const saidIn = (round: number): Said => said[Math.min(round, said.length) - 1] ?? null
  const say = async (what: Said, name: string, signal: AbortSignal): Promise<Ballot> => {
    if (what instanceof Error) throw what
    if (what !== 'stalls') return ballot(what)
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        ended.push(name)
        reject(signal.reason)
      })
      stalled()
    })
  }
  return actor(
    'voter',
    ({ name }) => [
      on(CastBallot, ({ round }, { signal }) => say(saidIn(round), name, signal)),
      on(JudgeDebate, (_, { signal }) => say(saidIn(1), name, signal)),
    ],
    { args: z.unknown() },
  )
}

describe('a debate', () => {
  const meshes: MeshNode[] = []
  afterEach(async () => {
    await Promise.all(meshes.splice(0).map((mesh) => mesh.close()))
  })

  async function hold(
    voters: (readonly Said[])[],
    more: Partial<DebateSpec> = {},
    judge?: Said,
    signal?: AbortSignal,
    stalled?: () => void,
  ) {
    const mesh = await localMesh()
    meshes.push(mesh)
    const ended: string[] = []
    for (const [place, said] of voters.entries()) await mesh.spawn(voter(said, ended, stalled), { as: `v${place}` })
    if (judge !== undefined) await mesh.spawn(voter([judge], ended), { as: 'judge' })
    const spec = { question: 'q', voters: voters.map((_, place) => ({ name: `v${place}` })), roundMs: 60_000, ...more }
    const result = await debate(mesh, spec, signal ? { signal } : {})
    assert.deepEqual(replay(result.transcript).outcome, result.outcome, 'its transcript comes to the same outcome')
    return { ...result, ended, mesh }
  }

  it('is decided by what its voters come to agree on', async () => {
    const { outcome, bill, votes } = await hold([['x'], ['y', 'x'], ['x']])
    assert.deepEqual([outcome.status, outcome.answer, outcome.rounds], ['decided', 'x', 2])
    assert.deepEqual([bill.tokens, bill.asks, votes.length], [60, 6, 2])
  })

  it('loses the vote of one whose answer cannot be read, and nobody’s time', async () => {
    const { outcome, transcript } = await hold([['x'], [null], ['x']], { rounds: 2 })
    assert.deepEqual([outcome.answer, outcome.support], ['x', 2])
    assert.ok(transcript.events.some((event) => event.type === 'failed' && event.code === 'MODEL_FAILED'))
    assert.ok(!transcript.events.some(({ type }) => type === 'late'), 'nobody waited for the end of a round')
  })

  it('loses the vote of one who dies, within the time of the round', async () => {
    const { outcome, transcript } = await hold([['x'], [new Error('dead')], ['x']], {})
    assert.deepEqual([outcome.status, outcome.answer], ['decided', 'x'])
    assert.ok(transcript.events.some((event) => event.type === 'late' || event.type === 'failed'))
  })

  it('loses the vote of one who stalls, and calls him off', async () => {
    const { outcome, ended } = await hold([['x'], ['stalls'], ['y'], ['x'], ['x']], { rounds: 1 })
    assert.equal(outcome.answer, 'x')
    await eventually(() => assert.deepEqual(ended, ['v1']))
  })

  it('ends undecided when all stall', async () => {
    const { outcome } = await hold([['stalls'], ['stalls'], ['stalls']], { roundMs: 500 })
    assert.equal(outcome.status, 'undecided')
    assert.match(outcome.reason, /at most [01] of 3 votes/)
  })

  it('ends undecided when the judge stalls', async () => {
    const judged = { rounds: 1, vote: 'judge', judge: 'judge', roundMs: 3000 } as const
    const { outcome, ended } = await hold([['x'], ['y'], ['x']], judged, 'stalls')
    assert.equal(outcome.status, 'undecided')
    assert.match(outcome.reason, /judge did not answer in time/)
    await eventually(() => assert.deepEqual(ended, ['judge']))
  })

  it('takes the word of a judge who answers', async () => {
    const judged = { rounds: 1, vote: 'judge', judge: 'judge' } as const
    const { outcome } = await hold([['x'], ['y'], ['x']], judged, 'y')
    assert.deepEqual([outcome.by, outcome.answer, outcome.support], ['judge', 'y', 1])
  })

  it('calls off whoever still thinks when it is decided', async () => {
    const { outcome, ended, bill } = await hold([['x'], ['x'], ['stalls']], { rounds: 1 })
    assert.equal(outcome.answer, 'x')
    await eventually(() => assert.deepEqual(ended, ['v2']))
    assert.equal(bill.unbilled, 1)
  })

  it('ends when its budget does', async () => {
    const { outcome } = await hold([['x'], ['y'], ['x']], { budget: 50, reserve: 10 })
    assert.equal(outcome.answer, 'x')
    assert.match(outcome.reason, /budget of 50 tokens does not cover round 2/)
  })

  it('ends when its caller gives up', async () => {
    const giveUp = new AbortController()
    let thinking = 0
    const stalling = ['stalls'] as const
    const { outcome, ended } = await hold([stalling, stalling, stalling], {}, undefined, giveUp.signal, () => {
      thinking += 1
      if (thinking === 3) giveUp.abort()
    })
    assert.equal(outcome.status, 'undecided')
    await eventually(() => assert.equal(ended.length, 3))
  })

  it('is refused where its rules cannot be followed', async () => {
    const mesh = await localMesh()
    meshes.push(mesh)
    await assert.rejects(debate(mesh, { question: '', voters: [{ name: 'a' }] }), { code: 'USAGE' })
  })

  it('goes on when the node of a voter is lost', async () => {
    const shared = { authority: createAuthority(), broker: new MemoryBroker() }
    const here = await localMesh({ name: 'here', with: shared })
    const there = await localMesh({ name: 'there', with: shared })
    meshes.push(here)
    for (const name of ['a', 'b']) await here.spawn(voter(['x']), { as: name })
    await there.spawn(voter(['stalls']), { as: 'c' })
    const voters = ['a', 'b', 'c'].map((name) => ({ name }))
    const held = debate(here, { question: 'q', voters, rounds: 1, quorum: 3 })
    await there.close()
    const { outcome } = await held
    assert.equal(outcome.status, 'undecided')
    assert.match(outcome.reason, /could have at most 2 of 3 votes/)
  })

  it('lets an error that nobody expected cost one vote', async () => {
    const odd = new ClawmeshError('MODEL_UNSUITED', 'too long')
    const { outcome, transcript } = await hold([['x'], [odd], ['x']], { rounds: 2, quorum: 2 })
    assert.equal(outcome.answer, 'x')
    assert.ok(transcript.events.some((event) => event.type === 'failed' && event.code === 'MODEL_UNSUITED'))
  })
})
