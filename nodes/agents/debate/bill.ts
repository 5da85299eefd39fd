/** What a debate has cost. Pure. */
import type { DebateEvent } from './transcript.js'

export interface Bill {
  asks: number
  /** Prompts and answers, as far as anybody billed them. */
  tokens: number
  byRound: number[]
  byVoter: Record<string, number>
  /** Asks that ended without a bill; the budget counts the reserve for each. */
  unbilled: number
}

type Answered = Extract<DebateEvent, { type: 'voted' | 'failed' }>

export const noBill: Bill = { asks: 0, tokens: 0, byRound: [], byVoter: {}, unbilled: 0 }

export function charge(bill: Bill, { round, voter, tokens, lost = 0 }: Answered): Bill {
  const amount = tokens ?? 0
  return {
    asks: bill.asks + 1 + lost,
    tokens: bill.tokens + amount,
    byRound: Array.from(
      { length: Math.max(bill.byRound.length, round) },
      (_, index) => (bill.byRound[index] ?? 0) + (index + 1 === round ? amount : 0),
    ),
    byVoter: { ...bill.byVoter, [voter]: (bill.byVoter[voter] ?? 0) + amount },
    unbilled: bill.unbilled + lost + (tokens === null ? 1 : 0),
  }
}

/** These were called off: what they had cost by then nobody says. */
export const dropped = (bill: Bill, asks: number): Bill => ({
  ...bill,
  asks: bill.asks + asks,
  unbilled: bill.unbilled + asks,
})

export const spent = ({ tokens, unbilled }: Bill, reserve: number): number => tokens + unbilled * reserve
