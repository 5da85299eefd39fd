/** What a research used and cost, by what was done and by which model, and what the same trace would cost at frontier rates. Pure. */
import { costOf, frontierCostOf, type Priced, type Prices } from '../../../policies/prices.js'
import { type CostLine, groupsBy, sumOf } from '../model/cost-line.js'

export const researchRoles = ['plan', 'read', 'write'] as const
export type ResearchRole = (typeof researchRoles)[number]

export interface Used extends Priced {
  readonly role: ResearchRole
}

export interface BillLine extends CostLine {
  role: ResearchRole
  model: string
  zone: Priced['zone']
}

export interface ResearchBill {
  lines: BillLine[]
  cost: number
  /** A calculation: no such model was asked. */
  frontier: number
  currency: string
  /** Of the price table. */
  prices: string
}

export function billOf(used: readonly Used[], prices: Prices): ResearchBill {
  const priced = used
    .map((one) => ({ ...one, cost: costOf(prices, one), frontier: frontierCostOf(prices, one) }))
    .sort((a, b) => researchRoles.indexOf(a.role) - researchRoles.indexOf(b.role))
  const lines = groupsBy(priced, ({ role, zone, model }) => JSON.stringify([role, zone, model]))
  const { cost, frontier } = sumOf(priced)
  return {
    lines: lines.map(([, group]) => {
      const [{ role, model, zone }] = group
      return { role, model, zone, ...sumOf(group) }
    }),
    cost,
    frontier,
    currency: prices.currency,
    prices: prices.version,
  }
}
