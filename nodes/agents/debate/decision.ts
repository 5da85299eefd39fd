/**
 * What a round of votes comes to, and what it takes to overturn what the first one came to. Pure.
 *
 * Independent votes are worth more than those of voters who have heard one another: it takes more of these to overturn them.
 */
import type { DebateRules } from './rules.js'
import { answerKey, tally, type Vote } from './tally.js'

export interface Decision {
  answer: string
  /** Votes for it. */
  support: number
}

/** What a round comes to by itself; undefined without a quorum, or where nothing has more than half. */
export function decision(rules: DebateRules, votes: readonly Vote[]): Decision | undefined {
  const isWeighted = rules.vote === 'weighted'
  const { answer, support, weight, total } = tally(votes, isWeighted)
  const half = isWeighted ? total / 2 : rules.voters.length / 2
  return votes.length >= rules.quorum && answer !== undefined && weight > half ? { answer, support } : undefined
}

/** What the first votes came to, where that is to be respected. */
export const firstDecision = (rules: DebateRules, rounds: readonly (readonly Vote[])[]): Decision | undefined =>
  rules.overturn === 'more' && rules.vote !== 'judge' && rounds.length > 1
    ? decision(rules, rounds[0] ?? [])
    : undefined

/** Whether what a later round came to is left aside for what the first one did. */
export const givesWay = (now: Decision, first: Decision | undefined): boolean =>
  first !== undefined && answerKey(now.answer) !== answerKey(first.answer) && now.support <= first.support
