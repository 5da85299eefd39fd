/** What some questions to models cost together. Pure. */
import type { Priced } from '../../../policies/prices.js'

export interface CostLine {
  requests: number
  /** Of them, those that nobody counted the tokens of. */
  uncounted: number
  promptTokens: number
  cachedTokens: number
  outputTokens: number
  seconds: number
  /** Of them, those of models on accelerators. Answers side by side are not told apart: each counts whole. */
  gpuSeconds: number
  /** As it was run. */
  cost: number
  /** Requests that the table has no price for: not in `cost`. */
  unpriced: number
  /** The same tokens at the frontier rates of the table. */
  frontier: number
}

/** One request, with its prices where the table has them. */
export type Cost = Priced & {
  readonly gpu?: boolean | undefined
  readonly cost: number | undefined
  readonly frontier: number | undefined
}

/** A line for each name, in the order in which the names come. */
export const sumsBy = <One extends Cost>(some: readonly One[], nameOf: (one: One) => string) =>
  groupsBy(some, nameOf).map(([name, group]) => ({ name, ...sumOf(group) }))

/** Those of each name, in the order in which the names come. */
export function groupsBy<One>(some: readonly One[], nameOf: (one: One) => string): [string, [One, ...One[]]][] {
  const groups = new Map<string, [One, ...One[]]>()
  for (const one of some) {
    const group = groups.get(nameOf(one))
    if (group) group.push(one)
    else groups.set(nameOf(one), [one])
  }
  return [...groups]
}

export function sumOf(some: readonly Cost[]): CostLine {
  const sum = (of: (each: (typeof some)[number]) => number | undefined): number =>
    some.reduce((total, each) => total + (of(each) ?? 0), 0)
  return {
    requests: some.length,
    uncounted: some.filter(({ usage }) => usage === null).length,
    promptTokens: sum(({ usage }) => usage?.promptTokens),
    cachedTokens: sum(({ usage }) => usage?.cachedTokens),
    outputTokens: sum(({ usage }) => usage?.outputTokens),
    seconds: sum(({ seconds }) => seconds),
    gpuSeconds: sum(({ gpu, seconds }) => (gpu ? seconds : 0)),
    cost: sum(({ cost }) => cost),
    unpriced: some.filter(({ cost }) => cost === undefined).length,
    frontier: sum(({ frontier }) => frontier),
  }
}
