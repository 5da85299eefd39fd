/**
 * What questions may cost at most, and what they have cost, for whoever holds a budget of money.
 *
 * 1. A model that the table has no price for is not asked: what it costs could not be set aside.
 * 2. Of the others the dearest is what is set aside, since which of them answers is decided later.
 * 3. What nobody counted has cost all that was set aside for it.
 */
import { z } from 'zod'
import { usageSchema } from '../../../inference/backend.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { costOf, mostCostOf, type Prices } from '../../../policies/prices.js'
import type { Candidate } from './candidate.js'
import type { Use } from './costs.js'

/** What was used of one model, in one question or several. */
export const pricedUseSchema = z.object({
  model: z.string(),
  zone: z.enum(['mesh', 'elsewhere']),
  /** null: nobody said of one of them. */
  usage: usageSchema.nullable(),
  seconds: z.number().nonnegative().max(1e9),
})
export type PricedUse = z.output<typeof pricedUseSchema>

/** What whoever asked models for somebody else says of it; null where nobody counted it. */
export const billShape = {
  tokens: z.int().nonnegative().nullable().default(null),
  uses: z.array(pricedUseSchema).max(256).nullable().default(null),
}

/** Of several questions, by model. */
export class Uses {
  readonly #uses = new Map<string, PricedUse>()

  add({ model, zone, usage, seconds }: Pick<Use, 'model' | 'zone' | 'usage' | 'seconds'>): void {
    const key = `${zone} ${model}`
    const known = this.#uses.get(key)
    const sum = known ? { usage: together(known.usage, usage), seconds: known.seconds + seconds } : { usage, seconds }
    this.#uses.set(key, { model, zone, ...sum })
  }

  get all(): PricedUse[] {
    return [...this.#uses.values()]
  }

  get isElsewhere(): boolean {
    return this.all.some(({ zone }) => zone === 'elsewhere')
  }
}

/** Undefined where one of them has no price, or nobody counted it. */
export function costOfUses(prices: Prices, uses: readonly PricedUse[]): number | undefined {
  let sum = 0
  for (const use of uses) {
    const cost = costOf(prices, use)
    if (cost === undefined) return undefined
    sum += cost
  }
  return sum
}

type Asked = Pick<Candidate, 'model' | 'zone'>

/** Those of the models that have a price. Throws PRICE_UNKNOWN where there are models and none of them has. */
export function priced<One extends Asked>(prices: Prices, models: readonly One[]): One[] {
  const known = models.filter((each) => mostCostOf(prices, each, { tokens: 0, ms: 0 }) !== undefined)
  const [first] = models
  if (!first || known.length > 0) return known
  const names = [...new Set(models.map(({ model }) => model))].sort().join(', ')
  throw new ClawmeshError(
    'PRICE_UNKNOWN',
    `The price table ${prices.version} has no price for ${names}, so no budget of money can hold what a question would cost.`,
    {
      hint: 'Put what your contract says into the price table (--prices FILE, or policies/prices.yaml), or ask without a budget of money.',
      data: { model: first.model, prices: prices.version },
    },
  )
}

/** Of the dearest of these models, for questions of so much in all. */
export const dearest = (prices: Prices, models: readonly Asked[], most: { tokens: number; ms: number }): number =>
  Math.max(0, ...models.map((each) => mostCostOf(prices, each, most) ?? 0))

type Usage = PricedUse['usage']

function together(a: Usage, b: Usage): Usage {
  if (a === null || b === null) return null
  const cachedTokens = (a.cachedTokens ?? 0) + (b.cachedTokens ?? 0)
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    ...(cachedTokens > 0 ? { cachedTokens } : {}),
  }
}
