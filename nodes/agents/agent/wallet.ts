/** What an agent may still spend of money, by a price table. What is spent, set aside and left is held as its tokens are (allowance.ts). */
import type { MeshNode } from '../../../mesh/index.js'
import type { Prices } from '../../../policies/prices.js'
import { candidates } from '../model/candidate.js'
import { costOfUses, dearest, type PricedUse, priced } from '../model/price.js'
import type { Allowance } from './allowance.js'

/** Set aside for one question. */
export interface Coins {
  readonly amount: number
  /** The models that may be asked it. */
  readonly among: readonly string[]
  /** What the question cost, by what was used; null: nobody said, and that is all of it. To be called once. */
  settle(uses: readonly PricedUse[] | null): number
}

export class Wallet {
  readonly allowance: Allowance
  readonly #prices: Prices

  constructor(allowance: Allowance, prices: Prices) {
    this.allowance = allowance
    this.#prices = prices
  }

  /** For a question to this model, or to whichever of the mesh and elsewhere; undefined where too little is left. Throws PRICE_UNKNOWN. */
  forQuestion(node: MeshNode, model: string | undefined, most: { tokens: number; ms: number }): Coins | undefined {
    const able = candidates(node).filter((each) => model === undefined || each.model === model)
    const models = priced(this.#prices, able)
    const aside = this.allowance.setAside(dearest(this.#prices, models, most))
    return (
      aside && {
        amount: aside.amount,
        among: [...new Set(models.map((each) => each.model))],
        settle: (uses) => {
          const cost = (uses && costOfUses(this.#prices, uses)) ?? aside.amount
          aside.settle(cost)
          return cost
        },
      }
    )
  }
}
