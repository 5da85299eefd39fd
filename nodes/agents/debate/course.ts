/**
 * The course of a debate: what has happened, and what is to be done next. Pure, so a transcript that is played again comes to the same outcome.
 *
 * 1. Votes of the first round are independent: nobody has heard anybody.
 * 2. Each ask ends in one event (a vote, a failure, the end of its round), and a round ends with its last ask or its time. So a debate ends: at the latest
 *    after the time of all rounds and the judge.
 * 3. No ask is made that the budget does not cover with its reserve.
 * 4. What is called off, or was lost with its holder, is charged its reserve. An event that nobody waits for any more changes nothing.
 */
import { type Bill, charge, dropped, noBill, spent } from './bill.js'
import { decision, firstDecision, givesWay } from './decision.js'
import type { DebateRules } from './rules.js'
import { agree, answerKey, tally, type Vote } from './tally.js'
import { heardBy } from './topology.js'
import type { DebateEvent, Transcript } from './transcript.js'

export interface Outcome {
  status: 'decided' | 'undecided'
  answer: string | undefined
  by: 'gate' | 'majority' | 'weighted' | 'judge' | 'nobody'
  /** For people. */
  reason: string
  /** Votes for the answer among those counted. */
  support: number
  votes: number
  /** Rounds that were begun. */
  rounds: number
}

export interface Course {
  readonly rules: DebateRules
  /** The votes of each round, in the order in which they came. */
  readonly rounds: readonly (readonly Vote[])[]
  /** Voters of the present round, or the judge, whose answer has not come. */
  readonly pending: readonly string[]
  /** Voters that were asked in the present round. */
  readonly asked: readonly string[]
  readonly judging: boolean
  readonly bill: Bill
  readonly outcome: Outcome | undefined
}

export type Order =
  | { do: 'ask'; round: number; voter: string; own: Vote | undefined; heard: Vote[] }
  | { do: 'judge'; round: number; judge: string; votes: Vote[] }
  /** Whatever is under way is of no use any more. */
  | { do: 'cancel' }

export interface Step {
  course: Course
  orders: Order[]
}

export function openDebate(rules: DebateRules): Step {
  const course: Course = {
    rules,
    rounds: [],
    pending: [],
    asked: [],
    judging: false,
    bill: noBill,
    outcome: undefined,
  }
  return beginRound(course)
}

export function step(before: Course, event: DebateEvent): Step {
  if (!isWaitedFor(before, event)) return { course: before, orders: [] }
  const course = take(before, event)
  if (event.type === 'stopped') return end(course, undecided(course, event.reason))
  if (event.type === 'resumed') return again(course)
  const next = course.judging ? judged(course, event) : goOn(course)
  // Whoever is late is not worked for any longer.
  return event.type === 'late' ? { ...next, orders: [{ do: 'cancel' }, ...next.orders] } : next
}

export const replay = ({ rules, events }: Transcript): Course =>
  events.reduce((course, event) => step(course, event).course, openDebate(rules).course)

/** The number of the round that is under way; the judge's is the one after the last. */
export const roundOf = ({ rounds, judging }: Course): number => rounds.length + (judging ? 1 : 0)

function isWaitedFor(course: Course, event: DebateEvent): boolean {
  if (course.outcome) return false
  if (event.type === 'stopped' || event.type === 'resumed') return true
  return event.round === roundOf(course) && (event.type === 'late' || course.pending.includes(event.voter))
}

/** What the event says, written down. */
function take(course: Course, event: DebateEvent): Course {
  if (event.type === 'stopped') return course
  if (event.type === 'late') return callOff(course)
  if (event.type === 'resumed') return { ...course, bill: dropped(course.bill, course.pending.length) }
  const pending = course.pending.filter((voter) => voter !== event.voter)
  const taken = { ...course, pending, bill: charge(course.bill, event) }
  if (event.type === 'failed' || course.judging) return taken
  const { voter, answer, confidence, reason } = event
  const votes = [...(course.rounds.at(-1) ?? []), { voter, answer, confidence, reason }]
  return { ...taken, rounds: [...course.rounds.slice(0, -1), votes] }
}

const callOff = (course: Course): Course => ({
  ...course,
  pending: [],
  bill: dropped(course.bill, course.pending.length),
})

function goOn(course: Course): Step {
  const { rules, pending, bill } = course
  const votes = course.rounds.at(-1) ?? []
  if (rules.budget !== undefined && spent(bill, rules.reserve) > rules.budget)
    return conclude(course, `the budget of ${rules.budget} tokens ran out`)
  const unasked = rules.voters.length - course.asked.length
  const within = votes.length + pending.length + unasked
  if (within < rules.quorum) {
    return conclude(
      course,
      `round ${course.rounds.length} could have at most ${within} of ${rules.voters.length} votes, and ${rules.quorum} are needed`,
    )
  }
  if (rules.early && course.rounds.length === rules.rounds && isDecided(course)) return conclude(course, '')
  if (pending.length > 0) return { course, orders: [] }
  return unasked > 0 ? pastGate(course) : closeRound(course)
}

/** The outcome stands, whatever the others of the last round would say. */
function isDecided({ rules, rounds, pending, asked }: Course): boolean {
  const votes = rounds.at(-1) ?? []
  if (rules.vote === 'judge' || votes.length < rules.quorum) return false
  const { answer, support, weight, total } = tally(votes, rules.vote === 'weighted')
  if (answer === undefined || givesWay({ answer, support }, firstDecision(rules, rounds))) return false
  const toCome = pending.length + rules.voters.length - asked.length
  return rules.vote === 'majority' ? support * 2 > rules.voters.length : weight * 2 > total + toCome
}

function pastGate(course: Course): Step {
  const votes = course.rounds.at(-1) ?? []
  if (votes.length < course.asked.length || !agree(votes)) return askRest(course)
  const { answer, support } = tally(votes, false)
  return end(course, {
    status: 'decided',
    answer,
    by: 'gate',
    reason: `the first ${support} votes agree`,
    support,
    votes: votes.length,
    rounds: 1,
  })
}

function closeRound(course: Course): Step {
  const { rules, rounds } = course
  const votes = rounds.at(-1) ?? []
  if (rounds.length === rules.rounds || (rules.early && agree(votes))) return conclude(course, '')
  if (rules.early && nobodyMoved(rounds)) return conclude(course, `nobody changed a vote in round ${rounds.length}`)
  return beginRound(course)
}

function nobodyMoved(rounds: Course['rounds']): boolean {
  const [before, now] = rounds.slice(-2)
  if (!before || !now || before.length !== now.length) return false
  const earlier = new Map(before.map(({ voter, answer }) => [voter, answerKey(answer)]))
  return now.every(({ voter, answer }) => earlier.get(voter) === answerKey(answer))
}

function beginRound(course: Course): Step {
  const { rules, rounds } = course
  const names = rules.voters.map(({ name }) => name)
  const first = rounds.length === 0 && rules.gate > 0 ? names.slice(0, rules.gate) : names
  if (!affords(course, first.length))
    return conclude(course, `the budget of ${rules.budget} tokens does not cover round ${rounds.length + 1}`)
  return ask({ ...course, rounds: [...rounds, []], asked: [] }, first)
}

function askRest(course: Course): Step {
  const { rules, asked } = course
  const rest = rules.voters.map(({ name }) => name).filter((name) => !asked.includes(name))
  if (!affords(course, rest.length))
    return conclude(course, `the budget of ${rules.budget} tokens does not cover the other first votes`)
  return ask(course, rest)
}

function affords({ rules, bill }: Course, asks: number): boolean {
  return rules.budget === undefined || spent(bill, rules.reserve) + asks * rules.reserve <= rules.budget
}

function ask(before: Course, voters: string[]): Step {
  const course = { ...before, asked: [...before.asked, ...voters], pending: voters }
  return { course, orders: ordersOf(course) }
}

/** Asks once more what was under way when the last holder was lost, where the budget covers that too. */
function again(course: Course): Step {
  if (affords(course, course.pending.length)) return { course, orders: ordersOf(course) }
  const { judging, rules } = course
  const lost = { ...course, pending: [] }
  return judging
    ? end(lost, undecided(lost, 'the budget does not cover the judge once more'))
    : conclude(lost, `the budget of ${rules.budget} tokens does not cover asking once more`)
}

/** What is under way: asked, and not answered. For whoever takes a debate up that another began. */
export function ordersOf(course: Course): Order[] {
  const { rules, rounds, pending } = course
  if (course.judging)
    return pending.map((judge) => ({ do: 'judge', round: roundOf(course), judge, votes: [...(counted(course) ?? [])] }))
  const last = rounds.at(-2) ?? []
  const heard = heardBy(rules.topology, rules.voters.length)
  return pending.map((voter): Order => {
    const place = rules.voters.findIndex(({ name }) => name === voter)
    const others = (heard[place] ?? []).map((other) => rules.voters[other]?.name)
    return {
      do: 'ask',
      round: rounds.length,
      voter,
      own: last.find((vote) => vote.voter === voter),
      heard: last.filter((vote) => others.includes(vote.voter)).sort((a, b) => a.voter.localeCompare(b.voter)),
    }
  })
}

/** The votes of the last round that had a quorum. */
const counted = ({ rules, rounds }: Course): readonly Vote[] | undefined =>
  rounds.findLast((round) => round.length >= rules.quorum)

/** Counts the last round that had a quorum. `why` it ended before its time, or the empty string. */
function conclude(course: Course, why: string): Step {
  const { rules } = course
  const votes = counted(course)
  if (!votes) return end(course, undecided(course, why === '' ? 'no round had a quorum' : why))
  if (rules.vote === 'judge' && !agree(votes)) return callJudge(course)
  const by = rules.vote === 'judge' ? 'majority' : rules.vote
  const { answer, support, weight, total } = tally(votes, by === 'weighted')
  const because = why === '' ? '' : `; ${why}`
  const now = decision(rules, votes)
  const first = votes === course.rounds[0] ? undefined : firstDecision(rules, course.rounds)
  if (first && (!now || givesWay(now, first)))
    return end(course, {
      status: 'decided',
      answer: first.answer,
      by,
      reason: `${first.support} of ${rules.voters.length} first votes, and no more than that for another answer later${because}`,
      support: first.support,
      votes: course.rounds[0]?.length ?? 0,
      rounds: course.rounds.length,
    })
  if (answer === undefined || !now) {
    const most =
      answer === undefined ? 'two answers are level' : `the most had ${support} of ${rules.voters.length} votes`
    return end(course, { ...undecided(course, `${most}${because}`), support, votes: votes.length })
  }
  const weighed = by === 'weighted' ? `, ${Math.round((100 * weight) / total)} % of the confidence` : ''
  return end(course, {
    status: 'decided',
    answer,
    by,
    reason: `${support} of ${rules.voters.length} votes${weighed}${because}`,
    support,
    votes: votes.length,
    rounds: course.rounds.length,
  })
}

function callJudge(before: Course): Step {
  const course = callOff(before)
  const { judge = '' } = course.rules
  if (!affords(course, 1)) return end(course, undecided(course, 'the budget does not cover the judge'))
  const judging = { ...course, judging: true, pending: [judge] }
  return { course: judging, orders: [{ do: 'cancel' }, ...ordersOf(judging)] }
}

function judged(course: Course, event: Exclude<DebateEvent, { type: 'stopped' | 'resumed' }>): Step {
  const { judge } = course.rules
  if (event.type === 'late') return end(course, undecided(course, `the judge ${judge} did not answer in time`))
  if (event.type === 'failed')
    return end(course, undecided(course, `the judge ${judge} gave no decision: ${event.reason}`))
  const votes = course.rounds.at(-1) ?? []
  const support = votes.filter(({ answer }) => answerKey(answer) === answerKey(event.answer)).length
  const { answer, reason } = event
  const rounds = course.rounds.length
  return end(course, { status: 'decided', answer, by: 'judge', reason, support, votes: votes.length, rounds })
}

function undecided({ rounds }: Course, reason: string): Outcome {
  const votes = rounds.at(-1)?.length ?? 0
  return { status: 'undecided', answer: undefined, by: 'nobody', reason, support: 0, votes, rounds: rounds.length }
}

function end(course: Course, outcome: Outcome): Step {
  return { course: { ...callOff(course), outcome }, orders: [{ do: 'cancel' }] }
}
