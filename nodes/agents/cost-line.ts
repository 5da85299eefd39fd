/** What some questions to models cost together. Pure. */
import type { Priced } from '../../policies/prices.js'

export interface CostLine {
  requests: number
  /** Of them, those that nobody counted the tokens of. */
  uncounted: number
  promptTokens: number
  cachedTokens: number
  outputTokens: number
  seconds: number
  /** As it was run. */
  cost: number
  /** Requests that the table has no price for: not in `cost`. */
  unpriced: number
  /** The same tokens at the frontier rates of the table. */
  frontier: number
}

export function sumOf(
  some: readonly (Priced & { cost: number | undefined; frontier: number | undefined })[],
): CostLine {
  const sum = (of: (each: (typeof some)[number]) => number | undefined): number =>
    some.reduce((total, each) => total + (of(each) ?? 0), 0)
  return {
    requests: some.length,
    uncounted: some.filter(({ usage }) => usage === null).length,
    promptTokens: sum(({ usage }) => usage?.promptTokens),
    cachedTokens: sum(({ usage }) => usage?.cachedTokens),
    outputTokens: sum(({ usage }) => usage?.outputTokens),
    seconds: sum(({ seconds }) => seconds),
    cost: sum(({ cost }) => cost),
    unpriced: some.filter(({ cost }) => cost === undefined).length,
    frontier: sum(({ frontier }) => frontier),
  }
}
