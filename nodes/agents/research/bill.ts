/** What a research used and cost, by what was done and by which model, and what the same trace would cost at frontier rates. Pure. */
import { costOf, frontierCostOf, type Priced, type Prices } from '../../../policies/prices.js'

export const researchRoles = ['plan', 'read', 'write'] as const
export type ResearchRole = (typeof researchRoles)[number]

export interface Used extends Priced {
  readonly role: ResearchRole
}

export interface BillLine {
  role: ResearchRole
  model: string
  zone: Priced['zone']
  requests: number
  promptTokens: number
  cachedTokens: number
  outputTokens: number
  seconds: number
  /** As it was run; what has no price is in none. */
  cost: number
  /** Requests that the table has no price for, or of which nobody counted the tokens. */
  unpriced: number
  /** The same tokens at the frontier rates of the table: a calculation, no such model was asked. */
  frontier: number
}

export interface ResearchBill {
  lines: BillLine[]
  cost: number
  frontier: number
  currency: string
  /** Of the price table. */
  prices: string
}

export function billOf(used: readonly Used[], prices: Prices): ResearchBill {
  const lines = new Map<string, BillLine>()
  for (const each of used) {
    const { role, model, zone, usage, seconds } = each
    const key = JSON.stringify([role, zone, model])
    const empty = { requests: 0, promptTokens: 0, cachedTokens: 0, outputTokens: 0, seconds: 0, cost: 0, unpriced: 0 }
    const line = lines.get(key) ?? { role, model, zone, ...empty, frontier: 0 }
    const cost = costOf(prices, each)
    lines.set(key, {
      ...line,
      requests: line.requests + 1,
      promptTokens: line.promptTokens + (usage?.promptTokens ?? 0),
      cachedTokens: line.cachedTokens + (usage?.cachedTokens ?? 0),
      outputTokens: line.outputTokens + (usage?.outputTokens ?? 0),
      seconds: line.seconds + seconds,
      cost: line.cost + (cost ?? 0),
      unpriced: line.unpriced + (cost === undefined ? 1 : 0),
      frontier: line.frontier + (frontierCostOf(prices, each) ?? 0),
    })
  }
  const all = [...lines.values()].sort((a, b) => researchRoles.indexOf(a.role) - researchRoles.indexOf(b.role))
  const sum = (of: (line: BillLine) => number) => all.reduce((total, line) => total + of(line), 0)
  return {
    lines: all,
    cost: sum(({ cost }) => cost),
    frontier: sum(({ frontier }) => frontier),
    currency: prices.currency,
    prices: prices.version,
  }
}
