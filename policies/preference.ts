/**
 * Whom `auto` asks first, of those that may see a prompt: by the list that the rules have for how hard it looks, or else the cheapest that is good enough. Pure.
 *
 *     preferenceOf(rules.order, weigh({ messages, tools: 0, maxTokens: 800 }))
 *     // { complexity: 'moderate', models: ['frontier/small', 'frontier/large'], by: 'price', costs: [0.0012, 0.011] }
 */
import { type Complexity, complexities, complexityOf, type Weight } from './complexity.js'
import type { RouterRules } from './router.js'

export interface Preference {
  readonly complexity: Complexity
  /** The first one first; `mesh` is any model of the mesh. */
  readonly models: readonly string[]
  /** Nothing: the rules say nothing of prompts so hard. */
  readonly by: 'list' | 'price' | 'nothing'
  /** By price: what each would cost at most, in the currency of the rules' prices. */
  readonly costs: readonly number[]
}

/** Nobody counts tokens before a model is chosen; English and German have about as many characters in one. */
const charactersOfToken = 4

export function preferenceOf(order: RouterRules['order'], weight: Weight): Preference {
  const complexity = complexityOf(weight, order.from)
  const listed = order[complexity]
  if (listed.length > 0) return { complexity, models: listed, by: 'list', costs: [] }
  const least = complexities.indexOf(complexity)
  const priced = order.prices
    .filter(({ upTo }) => complexities.indexOf(upTo) >= least)
    .map((price) => ({ model: price.model, cost: mostCost(price, weight) }))
    // Where two cost the same, the rules' own order stays.
    .sort((a, b) => a.cost - b.cost)
  return {
    complexity,
    models: priced.map(({ model }) => model),
    by: priced.length > 0 ? 'price' : 'nothing',
    costs: priced.map(({ cost }) => cost),
  }
}

/** What a question costs at most by a price of the rules, in their currency. */
export function mostCost(
  { input, output }: RouterRules['order']['prices'][number],
  { characters, maxTokens }: Weight,
): number {
  return (Math.ceil(characters / charactersOfToken) * input + maxTokens * output) / 1e6
}
