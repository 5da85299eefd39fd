/**
 * Limits of hardness by what was really asked: so that no more than some share of it counts as moderate, and as hard. Pure.
 *
 *     calibrate(asked, { moderate: 0.3, hard: 0.1 })                    // { moderate: 3, hard: 6 }
 *     costUnder(rules, asked)                                           // what `auto` would have cost at most, by the prices of the rules
 */
import { parseDocument } from 'yaml'
import { type ComplexityLimits, inOrder, type Weight } from './complexity.js'
import { mostCost, preferenceOf } from './preference.js'
import { decideRoute, parseRouterRules, type RouteFacts, type RouterRules } from './router.js'

/** Of all questions, at most; each from 0 to 1. */
export interface Shares {
  readonly moderate: number
  readonly hard: number
}

/** A question as the trail has it: who may see it is decided again, so that rules can be tried that were not in force. */
export interface Asked extends Weight, RouteFacts {}

/** The share of questions with as many points or more. */
export const shareFrom = (asked: readonly Pick<Weight, 'points'>[], limit: number): number =>
  asked.length === 0 ? 0 : asked.filter(({ points }) => points >= limit).length / asked.length

/** The lowest limits that keep to the shares; questions that look alike cannot be told apart, so the shares are often less. */
export function calibrate(asked: readonly Pick<Weight, 'points'>[], shares: Shares): ComplexityLimits {
  const lowest = (from: number, most: number): number => {
    let limit = from
    while (shareFrom(asked, limit) > most) limit += 1
    return limit
  }
  const moderate = lowest(1, shares.moderate)
  return { moderate, hard: lowest(moderate + 1, shares.hard) }
}

export interface Cost {
  /** In the currency of the rules' prices. */
  readonly most: number
  /** Questions whose first model has no price. */
  readonly unpriced: number
}

/** If each question were asked with `auto` under these rules, and its first model took it. */
export function costUnder(rules: RouterRules, asked: readonly Asked[]): Cost {
  let [most, unpriced] = [0, 0]
  for (const question of asked) {
    const first = firstModel(rules, question)
    const price = rules.order.prices.find(({ model }) => model === first)
    if (price) most += mostCost(price, question)
    else if (first !== undefined) unpriced += 1
  }
  return { most, unpriced }
}

function firstModel(rules: RouterRules, question: Asked): string | undefined {
  const decision = decideRoute(rules, question)
  if (decision.effect === 'block') return undefined
  const elsewhere = decision.models.map((model) => ({ model, zone: 'elsewhere' as const }))
  const able = [...elsewhere, { model: 'mesh', zone: 'mesh' as const }]
  return inOrder(preferenceOf(rules.order, question).models, able)[0]?.model
}

/**
 * The rules with these limits; whatever else they say stays, comments too.
 * @throws ClawmeshError POLICY_INVALID for rules that do not hold
 */
export function withLimits(text: string, { moderate, hard }: ComplexityLimits): { readonly text: string } {
  const document = parseDocument(text)
  document.setIn(['order', 'from'], document.createNode({ moderate, hard }, { flow: true }))
  const changed = document.toString({ lineWidth: 0 })
  parseRouterRules(changed)
  return { text: changed }
}
