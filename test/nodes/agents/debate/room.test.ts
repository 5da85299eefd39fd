/** The room of a debate, over a real broker: each voter on a node of its own. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { z } from 'zod'
import { actor, type MeshNode, on } from '../../../../mesh/index.js'
import { enrol } from '../../../../mesh/seal/credentials.js'
import { randomBytes } from '../../../../mesh/seal/keys.js'
import { type Ballot, CastBallot } from '../../../../nodes/agents/debate/ballot.js'
import { replay } from '../../../../nodes/agents/debate/course.js'
import { debate } from '../../../../nodes/agents/debate/debate.js'
import type { DebateSpec } from '../../../../nodes/agents/debate/rules.js'
import { judges, type Question, votes } from '../../../../nodes/agents/debate/seat.js'
import {
  closeStatement,
  openStatement,
  type Statement,
  statementSchema,
} from '../../../../nodes/agents/debate/statement.js'
import type { DebateEvent } from '../../../../nodes/agents/debate/transcript.js'
import { Canaries } from '../../../attack/mesh/canary.js'
import { Tap } from '../../../attack/mesh/intruder.js'
import { eventually } from '../../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../../kit/mesh.js'
import { Wire } from '../../../kit/wire.js'

type Vote = (question: Question, name: string) => Promise<Omit<Ballot, 'tokens' | 'confidence'>>
type Asked = z.output<(typeof CastBallot)['request']>

const names = ['ada', 'bob', 'cleo']
const voters = names.map((name) => ({ name: `voter-${name}` }))

describe('the room of a debate', () => {
  let mesh: NatsMesh
  let tap: Tap
  let boss: MeshNode
  const nodes = new Map<string, MeshNode>()
  const wires = new Map<string, Wire>()
  /** As it came from the holder, by voter. */
  let asked: { voter: string; request: Asked }[] = []
  let hearsOfRooms = true
  let vote: Vote = async () => assert.fail('nobody says what is voted')

  before(async () => {
    mesh = await natsMesh()
    tap = await Tap.on(mesh)
    boss = await mesh.join('boss')
    for (const name of names) {
      const node = await worker(name)
      await node.spawn(voter(node), { as: `voter-${name}` })
    }
    await eventually(() => {
      for (const node of [boss, ...nodes.values()]) assert.equal(node.nodes().length, 4)
    })
  })
  after(async () => {
    await tap.close()
    await mesh.close()
  })

  async function worker(name: string): Promise<MeshNode> {
    const credentials = enrol(mesh.authority, { name, roles: ['worker'] }, Date.now())
    const transport = new Wire(await mesh.connect(credentials))
    const node = await mesh.join(name, { credentials, transport })
    nodes.set(name, node)
    wires.set(name, transport)
    return node
  }

  const voter = (node: MeshNode) =>
    actor('voter', ({ name }) => {
      const cast = async (question: Question): Promise<Ballot> => ({
        ...(await vote(question, name)),
        confidence: 0.5,
        tokens: 1,
      })
      const seat = votes(node, name, cast)
      return [
        {
          ...seat,
          handle: async (request, context) => {
            const parsed = CastBallot.request.parse(request)
            asked.push({ voter: name, request: parsed })
            // Real voters take their time; on a loaded machine these would be done before the list of members is there.
            if (parsed.room !== undefined && hearsOfRooms) await node.room(parsed.room, 'boss', 60_000)
            return seat.handle(request, context)
          },
        },
        judges(node, async ({ votes: cast }) => ({
          answer: cast.map(({ answer }) => answer).join(' '),
          confidence: 1,
          reason: '',
          tokens: 1,
        })),
      ]
    })

  async function hold(more: Partial<DebateSpec>, how: Vote, onEvent: (event: DebateEvent) => void = () => undefined) {
    asked = []
    vote = how
    const result = await debate(boss, { question: 'q', voters, roundMs: 60_000, ...more }, { onEvent })
    assert.deepEqual(replay(result.transcript).outcome, result.outcome)
    return result
  }

  /** What everybody said in the round before, in the order of the voters. */
  const opinion: Vote = async ({ round, own, heard }, name) => {
    const said = [...heard.map(({ reason }) => reason), own?.reason ?? ''].filter((reason) => reason !== '').sort()
    return { answer: round === 1 ? name : said.join(' '), reason: round === 1 ? `Kanarienvogel of ${name}` : '' }
  }

  const heardIn = (round: number) =>
    asked.filter(({ request }) => request.round === round).map(({ request }) => request.heard)

  it('is where voters hear each other: the holder gives them keys, and no votes', async () => {
    const { outcome } = await hold({ rounds: 2, early: false }, opinion)
    assert.equal(outcome.answer, voters.map(({ name }) => `Kanarienvogel of ${name}`).join(' '))
    assert.deepEqual(heardIn(1), [[], [], []])
    for (const heard of heardIn(2))
      assert.deepEqual(
        heard.map((one) => Object.keys(one).sort()),
        Array(2).fill(['key', 'node', 'round', 'voter']),
      )
    // Each of three said two things to three others.
    await eventually(() => assert.equal(tap.caught.filter(({ subject }) => subject.includes('.room.')).length, 18))
    const search = new Canaries(['Kanarienvogel', ...voters.map(({ name }) => name)])
    assert.deepEqual(
      tap.caught.flatMap(({ subject, bytes }) => search.search(subject, bytes)),
      [],
    )
  })

  it('shows nobody a vote before all are cast, though it is there', async () => {
    const found: Statement[] = []
    const { outcome } = await hold({ rounds: 1, early: false }, async (_, name) => {
      if (name !== 'voter-cleo') return { answer: 'early bird', reason: 'the early ones' }
      // The last one looks around first: what her node has of the others does not open with any key that it was given, or that it makes up.
      const room = await cleosRoom()
      for await (const { value } of room.subscribe(statementSchema)) {
        found.push(value)
        if (found.length === 2) break
      }
      for (const statement of found) {
        assert.equal(openStatement(statement, randomBytes(32), room.id), undefined)
        assert.ok(!Buffer.from(statement.closed).includes('early'))
      }
      return { answer: 'early bird', reason: '' }
    })
    assert.deepEqual([outcome.answer, outcome.support], ['early bird', 3])
    assert.deepEqual(found.map(({ voter }) => voter).sort(), ['voter-ada', 'voter-bob'])
    assert.deepEqual(heardIn(1), [[], [], []])
  })

  async function cleosRoom() {
    const cleo = nodes.get('cleo')
    const name = asked.at(-1)?.request.room
    assert.ok(cleo && name !== undefined)
    return cleo.room(name, 'boss')
  }

  it('holds a statement that one key opens, in one place', () => {
    const said = { voter: 'v', answer: 'a', confidence: 1, reason: 'r' }
    const { statement, key } = closeStatement(said, 1, 'room')
    assert.deepEqual(openStatement(statement, key, 'room'), said)
    assert.equal(openStatement({ ...statement, lock: randomBytes(32) }, key, 'room'), undefined)
    for (const moved of [{ voter: 'w' }, { round: 2 }])
      assert.equal(openStatement({ ...statement, ...moved }, key, 'room'), undefined)
    assert.equal(openStatement(statement, key, 'another room'), undefined)
  })

  it('opens to each what the topology lets it hear, and to the judge all', async () => {
    const { outcome } = await hold(
      { rounds: 2, topology: 'star', vote: 'judge', judge: 'voter-bob', early: false },
      opinion,
    )
    assert.equal(outcome.by, 'judge')
    const hears = asked
      .filter(({ request }) => request.round === 2)
      .map(({ voter, request }) => [voter, request.heard.map((one) => one.voter)])
    assert.deepEqual(Object.fromEntries(hears), {
      'voter-ada': ['voter-bob', 'voter-cleo'],
      'voter-bob': ['voter-ada'],
      'voter-cleo': ['voter-ada'],
    })
    assert.equal(outcome.answer?.split('Kanarienvogel').length, 1 + 3 + 2 + 2)
  })

  it('costs one who says one thing to the holder and another in the room its vote', async () => {
    const node = nodes.get('cleo')
    assert.ok(node)
    const liar = actor('liar', ({ name }) => {
      const seat = votes(node, name, async () => ({ answer: 'in the room', confidence: 0.5, reason: '', tokens: 1 }))
      return [
        on(CastBallot, async (request, context) => {
          const ballot = (await seat.handle(request, context)) as Ballot
          return { ...ballot, answer: 'to the holder' }
        }),
      ]
    })
    await node.spawn(liar, { as: 'liar' })
    await eventually(() => assert.ok(boss.find('liar')))
    const two = [...voters.slice(0, 2), { name: 'liar' }]
    const { outcome, transcript } = await hold({ rounds: 1, early: false, voters: two }, async () => ({
      answer: 'x',
      reason: '',
    }))
    assert.deepEqual([outcome.answer, outcome.votes], ['x', 2])
    const failed = transcript.events.find((event) => event.type === 'failed')
    assert.ok(
      failed?.type === 'failed' && failed.voter === 'liar' && failed.code === 'UNAUTHENTIC',
      JSON.stringify(failed),
    )
    await node.stop('liar')
  })

  it('opens nothing of before to a voter that was started again elsewhere: the holder tells it', async () => {
    const [cleo, dora] = [nodes.get('cleo'), await worker('dora')]
    assert.ok(cleo)
    await eventually(() => assert.ok(boss.directory.node('dora')))
    let moved: () => void = () => undefined
    const isMoved = new Promise<void>((resolve) => (moved = resolve))
    const { outcome } = await hold(
      { rounds: 2, early: false },
      async (question, name) => {
        if (question.round === 1 && name !== 'voter-cleo') await isMoved
        return opinion(question, name)
      },
      async (event) => {
        if (event.type !== 'voted' || event.round > 1 || event.voter !== 'voter-cleo') return
        await cleo.stop('voter-cleo')
        await dora.spawn(voter(dora), { as: 'voter-cleo' })
        // Their statements are made before dora is let in.
        await eventually(() => assert.equal(boss.find('voter-cleo')?.certificate.name, 'dora'))
        moved()
      },
    )
    assert.equal(outcome.answer, voters.map(({ name }) => `Kanarienvogel of ${name}`).join(' '))
    const kinds = asked
      .filter(({ request }) => request.round === 2)
      .map(({ voter, request }) => [voter, request.heard.map((one) => ('key' in one ? 'key' : 'told'))])
    // Each was asked once: nobody looked for what does not open.
    assert.equal(kinds.length, 3)
    assert.deepEqual(Object.fromEntries(kinds), {
      'voter-ada': ['key', 'key'],
      'voter-bob': ['key', 'key'],
      'voter-cleo': ['told', 'told'],
    })
  })

  it('is not what a debate hangs on: what is lost in it the holder tells', async () => {
    const wire = wires.get('ada')
    assert.ok(wire)
    // Nothing that ada says there comes through, and she hears of no room.
    const isRoom = (subject: string) => subject.includes('.room.')
    wire.tamper = (subject, bytes) => (isRoom(subject) ? [] : [bytes])
    hearsOfRooms = false
    const again = nodes.get('ada')
    assert.ok(again)
    await again.stop('rooms/ada')
    const { outcome } = await hold({ rounds: 2, early: false }, opinion)
    assert.equal(outcome.answer, voters.map(({ name }) => `Kanarienvogel of ${name}`).join(' '))
    const told = (voter: string) => {
      const last = asked.findLast((one) => one.voter === voter && one.request.round === 2)
      return last?.request.heard.filter((one) => 'answer' in one).map((one) => one.voter)
    }
    assert.deepEqual([told('voter-bob'), told('voter-cleo')], [['voter-ada'], ['voter-ada']])
    // She was given keys first, and found no room to use them in.
    assert.deepEqual(told('voter-ada'), ['voter-bob', 'voter-cleo'])
    assert.equal(asked.filter(({ voter, request }) => voter === 'voter-ada' && request.round === 2).length, 2)
    wire.tamper = (_, bytes) => [bytes]
  })
})
