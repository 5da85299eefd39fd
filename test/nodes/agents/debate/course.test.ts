import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Course, type Order, openDebate, replay, step } from '../../../../nodes/agents/debate/course.js'
import { type DebateSpec, debateRules } from '../../../../nodes/agents/debate/rules.js'
import type { DebateEvent } from '../../../../nodes/agents/debate/transcript.js'
import { seededRandom, wholeBelow } from '../../../kit/random.js'

const voters = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `v${index}` }))
const rulesOf = (more: Partial<DebateSpec>) => debateRules({ question: 'q', voters: voters(3), ...more })

/** Plays votes round by round: 'x' votes, '!' fails, '.' says nothing until the round's time is up. */
function play(more: Partial<DebateSpec>, rounds: string[], judge?: string | null) {
  const rules = rulesOf(more)
  const events: DebateEvent[] = []
  let { course, orders } = openDebate(rules)
  const asked: Order[] = [...orders]
  const take = (event: DebateEvent) => {
    if (course.outcome) return
    events.push(event)
    ;({ course, orders } = step(course, event))
    asked.push(...orders)
  }
  for (const [index, votes] of rounds.entries()) {
    const round = index + 1
    let silent = false
    for (const [place, said] of [...votes].entries()) {
      const voter = `v${place}`
      if (said === '.') silent = true
      else if (said === '!') take({ type: 'failed', round, voter, code: 'MODEL_FAILED', reason: 'no', tokens: 10 })
      else
        take({ type: 'voted', round, voter, answer: said, confidence: said === 'z' ? 1 : 0.4, reason: '', tokens: 10 })
    }
    if (silent) take({ type: 'late', round })
  }
  const round = course.rounds.length + 1
  if (judge === null) take({ type: 'late', round })
  else if (judge !== undefined)
    take({ type: 'voted', round, voter: 'j', answer: judge, confidence: 1, reason: 'so', tokens: 5 })
  return { rules, events, course, orders: asked, outcome: course.outcome }
}

const asks = (orders: Order[]) => orders.filter((order) => order.do === 'ask')

describe('the course of a debate', () => {
  it('asks everybody at first, with nothing heard', () => {
    const first = asks(openDebate(rulesOf({})).orders)
    assert.deepEqual(
      first.map((order) => order.do === 'ask' && [order.voter, order.round, order.heard.length]),
      [
        ['v0', 1, 0],
        ['v1', 1, 0],
        ['v2', 1, 0],
      ],
    )
  })

  it('ends where the first votes agree', () => {
    const { outcome } = play({}, ['xxx'])
    assert.deepEqual([outcome?.status, outcome?.answer, outcome?.rounds], ['decided', 'x', 1])
  })

  it('lets each hear its neighbours’ last votes, and its own', () => {
    const { orders } = play({ voters: voters(4), topology: 'ring' }, ['xyxy'])
    const second = asks(orders).filter((order) => order.do === 'ask' && order.round === 2)
    assert.deepEqual(
      second.map((order) => order.do === 'ask' && [order.own?.answer, order.heard.map(({ voter }) => voter).join()]),
      [
        ['x', 'v1,v3'],
        ['y', 'v0,v2'],
        ['x', 'v1,v3'],
        ['y', 'v0,v2'],
      ],
    )
  })

  it('ends when nobody changes a vote', () => {
    const { outcome } = play({ rounds: 9 }, ['xxy', 'xxy'])
    assert.deepEqual([outcome?.answer, outcome?.rounds], ['x', 2])
    assert.match(outcome?.reason ?? '', /nobody changed/)
  })

  it('stops the last round as soon as nothing can change the outcome, and calls off the rest', () => {
    const { outcome, orders, course } = play({ rounds: 2 }, ['xyz', 'xx'])
    assert.deepEqual([outcome?.answer, outcome?.support], ['x', 2])
    assert.deepEqual(orders.at(-1), { do: 'cancel' })
    assert.equal(course.bill.unbilled, 1, 'what was called off is on the bill')
  })

  it('holds every round to its end where it is told not to end early', () => {
    const { outcome, course, orders } = play({ rounds: 3, early: false }, ['xxx', 'xxx', 'xxx'])
    assert.deepEqual([outcome?.answer, outcome?.rounds, asks(orders).length, course.bill.unbilled], ['x', 3, 9, 0])
  })

  it('counts silent ones against a majority', () => {
    const { outcome } = play({ voters: voters(4), rounds: 1, quorum: 2 }, ['xx..'])
    assert.equal(outcome?.status, 'undecided')
    assert.match(outcome?.reason ?? '', /2 of 4/)
  })

  it('lets more votes than the first answer had overturn it, and no fewer: those of later rounds have heard one another', () => {
    const five = { voters: voters(5), rounds: 3 }
    const turned = ['xxxyy', 'yxyyx', 'yxyyx']
    for (const vote of ['majority', 'weighted'] as const) {
      const kept = play({ ...five, vote }, turned)
      assert.deepEqual([kept.outcome?.answer, kept.outcome?.support, kept.outcome?.status], ['x', 3, 'decided'], vote)
      assert.match(kept.outcome?.reason ?? '', /3 of 5 first votes, and no more/)
      assert.equal(play({ ...five, vote, overturn: 'any' }, turned).outcome?.answer, 'y')
    }
    const more = play(five, ['xxxyy', 'yyyxy', 'yyyxy'])
    assert.deepEqual([more.outcome?.answer, more.outcome?.support], ['y', 4])
    assert.equal(play(five, ['xxxyy', 'xyzxy', 'xyzxy']).outcome?.answer, 'x', 'nor does a round without a majority')
    assert.equal(play(five, ['xxyyz', 'yyyxx', 'yyyxx']).outcome?.answer, 'y', 'where the first votes decided nothing')
    const waits = play({ ...five, rounds: 2 }, ['xxxyy', 'yyy'])
    assert.equal(waits.outcome, undefined, 'a fourth vote may still overturn it')
    const judged = play({ ...five, rounds: 1, vote: 'judge', judge: 'j' }, ['xxxyy'], 'y')
    assert.equal(judged.outcome?.answer, 'y', 'a judge is not bound')
  })

  it('weighs confidence where that is the rule', () => {
    assert.equal(play({ vote: 'majority', rounds: 1 }, ['xxz']).outcome?.answer, 'x')
    assert.equal(play({ vote: 'weighted', rounds: 1 }, ['xxz']).outcome?.answer, 'z')
  })

  it('asks the first few alone through a gate, and nobody else if they agree', () => {
    const agreed = play({ voters: voters(5), gate: 2 }, ['xx'])
    assert.deepEqual([agreed.outcome?.by, asks(agreed.orders).length], ['gate', 2])
    const split = play({ voters: voters(5), gate: 2 }, ['xy'])
    assert.equal(split.outcome, undefined)
    assert.equal(asks(split.orders).length, 5)
    const lost = play({ voters: voters(5), gate: 2 }, ['x!'])
    assert.equal(asks(lost.orders).length, 5, 'one vote alone is no agreement')
  })

  it('goes on without those who fail or are late, while there is a quorum', () => {
    const { outcome } = play({ voters: voters(5) }, ['xyx!.', 'xxx!.'])
    assert.deepEqual([outcome?.answer, outcome?.support], ['x', 3])
  })

  it('ends at once when a quorum cannot be reached any more', () => {
    const { outcome, events } = play({ voters: voters(5), quorum: 4 }, ['!!'])
    assert.equal(outcome?.status, 'undecided')
    assert.equal(events.length, 2)
    assert.match(outcome?.reason ?? '', /at most 3 of 5 votes, and 4 are needed/)
  })

  it('asks a judge only where the votes differ', () => {
    const settled = play({ vote: 'judge', judge: 'j' }, ['xxx'])
    assert.deepEqual([settled.outcome?.by, settled.outcome?.answer], ['majority', 'x'])
    const split = play({ vote: 'judge', judge: 'j', rounds: 1 }, ['xyx'], 'y')
    assert.deepEqual([split.outcome?.by, split.outcome?.answer, split.outcome?.support], ['judge', 'y', 1])
  })

  it('says so when the judge stalls', () => {
    const { outcome } = play({ vote: 'judge', judge: 'j', rounds: 1 }, ['xyx'], null)
    assert.deepEqual([outcome?.status, outcome?.answer], ['undecided', undefined])
    assert.match(outcome?.reason ?? '', /judge j did not answer in time/)
  })

  it('begins no round that the budget does not cover', () => {
    const { outcome, course } = play({ budget: 45, reserve: 10 }, ['xyx'])
    assert.deepEqual([outcome?.status, outcome?.answer, course.rounds.length], ['decided', 'x', 1])
    assert.match(outcome?.reason ?? '', /does not cover round 2/)
    assert.match(play({ budget: 20, reserve: 10 }, []).course.outcome?.reason ?? '', /does not cover round 1/)
  })

  it('ends in the middle of a round when answers cost more than was set aside', () => {
    const { outcome, course } = play({ budget: 45, reserve: 5, rounds: 5 }, ['xyx', 'xx'])
    assert.deepEqual([outcome?.status, outcome?.answer], ['decided', 'x'])
    assert.match(outcome?.reason ?? '', /ran out/)
    assert.equal(course.bill.tokens, 50)
  })

  it('ends at once when the caller gives up', () => {
    const { course } = openDebate(rulesOf({}))
    const { course: ended, orders } = step(course, { type: 'stopped', reason: 'Ctrl-C' })
    assert.deepEqual([ended.outcome?.reason, orders], ['Ctrl-C', [{ do: 'cancel' }]])
  })

  it('keeps a bill by round and voter', () => {
    const { course } = play({}, ['xyx', 'xx!'])
    assert.deepEqual(course.bill.byRound, [30, 30])
    assert.equal(course.bill.byVoter['v2'], 20)
  })

  it('is charged what was lost with its holder, and asks once more only what the budget covers', () => {
    const rules = rulesOf({ budget: 100, reserve: 20 })
    const voted = { type: 'voted', round: 1, voter: 'v0', answer: 'x', confidence: 1, reason: '', tokens: 10 } as const
    const once = step(step(openDebate(rules).course, voted).course, { type: 'resumed' })
    assert.deepEqual([once.course.bill.unbilled, once.course.outcome, asks(once.orders).length], [2, undefined, 2])
    const twice = step(once.course, { type: 'resumed' }).course
    assert.match(twice.outcome?.reason ?? '', /budget of 100 tokens does not cover asking once more/)
    assert.deepEqual([twice.bill.unbilled, twice.bill.tokens], [4, 10])
  })

  it('ends whatever happens, by the same outcome each time its transcript is played', () => {
    for (let seed = 0; seed < 400; seed += 1) {
      const random = seededRandom(seed)
      const pick = <T>(choices: readonly T[]): T => choices[wholeBelow(random, choices.length)] as T
      const count = 2 + wholeBelow(random, 5)
      const rules = debateRules({
        question: 'q',
        voters: voters(count),
        topology: pick(['all', 'ring', 'star', { sparse: 2 }] as const),
        rounds: 1 + wholeBelow(random, 4),
        vote: pick(['majority', 'weighted', 'judge'] as const),
        judge: 'j',
        overturn: pick(['more', 'any'] as const),
        gate: pick([0, 2] as const),
        budget: pick([undefined, 60, 200]) ?? 10_000,
        reserve: 12,
      })
      const events: DebateEvent[] = []
      let course: Course = openDebate(rules).course
      // Each ask ends once, and each wave of asks once more by its time: more steps than this would be a debate without an end.
      const most = (rules.rounds + 2) * (count + 1)
      while (!course.outcome) {
        assert.ok(events.length <= most, `seed ${seed} goes on after ${most} events`)
        const round = course.rounds.length + (course.judging ? 1 : 0)
        const voter = pick(course.pending)
        const chance = random()
        const answer = pick(['x', 'y', '7', '7.0'])
        const event: DebateEvent =
          chance < 0.15
            ? { type: 'late', round }
            : chance < 0.3
              ? { type: 'failed', round, voter, code: 'ACTOR_CRASHED', reason: 'died', tokens: null }
              : {
                  type: 'voted',
                  round,
                  voter,
                  answer,
                  confidence: random(),
                  reason: '',
                  tokens: wholeBelow(random, 20),
                }
        events.push(event)
        course = step(course, event).course
      }
      assert.deepEqual(replay({ rules, events }), course, `seed ${seed}`)
      const copied = JSON.parse(JSON.stringify({ rules, events }))
      assert.deepEqual(replay(copied).outcome, course.outcome)
    }
  })
})
