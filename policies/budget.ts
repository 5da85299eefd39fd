/**
 * Money that models elsewhere may take, as the router rules limit it: in which counters a question counts, and what it takes of them at most. Pure.
 *
 *     countersOf(rules.budgets, { model: 'frontier/large', trace, at: Date.now() })
 *     // [{ budget: 'day', key: 'day 2026-11-29', limit: 5_000_000_000 }]
 *     mostOf(rules.order.prices, { model: 'frontier/large', bytes: 2000, maxTokens: 800 })          // 22_000_000
 *
 * Amounts are whole thousand millionths of the currency of the rules' prices, so that sums are exact.
 */
import { z } from 'zod'

export const periods = ['day', 'month', 'task'] as const

/** @param name what a budget may be called; @param model how a model elsewhere is named */
export const budgetSchema = <N extends z.ZodType<string>, M extends z.ZodType<string>>(name: N, model: M) =>
  z.strictObject({
    name,
    /** In the currency of the rules' prices. */
    limit: z.number().nonnegative().max(1_000_000),
    /** A day and a month are those of UTC. */
    per: z.enum(periods),
    /** Those that count in it; left out, all elsewhere. */
    models: z.array(model).min(1).optional(),
  })

export interface Budget {
  readonly name: string
  readonly limit: number
  readonly per: (typeof periods)[number]
  readonly models?: readonly string[] | undefined
}

/** Of one million tokens. */
export interface BudgetPrice {
  readonly model: string
  readonly input: number
  readonly output: number
}

export interface Counter {
  readonly budget: string
  readonly key: string
  readonly limit: number
}

export interface Counted {
  readonly model: string
  /** The task; one that belongs to none is a task of its own. */
  readonly trace: string
  /** Milliseconds since 1970. */
  readonly at: number
}

const nano = 1e9
const mostAmount = Number.MAX_SAFE_INTEGER
const longestTrace = 200
const tokensOfPrice = 1e6

export function countersOf(budgets: readonly Budget[], { model, trace, at }: Counted): Counter[] {
  return budgets
    .filter(({ models }) => models === undefined || models.includes(model))
    .map(({ name, limit, per }) => ({
      budget: name,
      key: `${name} ${periodOf(per, trace, at)}`,
      limit: Math.floor(limit * nano),
    }))
}

function periodOf(per: Budget['per'], trace: string, at: number): string {
  if (per === 'task') return trace === '' ? `none ${at}` : trace.slice(0, longestTrace)
  return new Date(at).toISOString().slice(0, per === 'day' ? 10 : 7)
}

/** What a question takes at most: no tokenizer makes more tokens of a body than it has bytes. Undefined where the rules have no price for the model. */
export const mostOf = (
  prices: readonly BudgetPrice[],
  { model, bytes, maxTokens }: { readonly model: string; readonly bytes: number; readonly maxTokens: number },
): number | undefined => amount(prices, model, bytes, maxTokens)

/** What it took, as its provider counts. What was cached is reckoned as if it had not been. */
export const tookOf = (
  prices: readonly BudgetPrice[],
  { model, promptTokens, outputTokens }: { model: string; promptTokens: number; outputTokens: number },
): number | undefined => amount(prices, model, promptTokens, outputTokens)

function amount(prices: readonly BudgetPrice[], model: string, read: number, written: number): number | undefined {
  const price = prices.find((each) => each.model === model)
  if (!price) return undefined
  // Of an answer as long as no model gives one it is enough to know that no budget holds it.
  return Math.min(mostAmount, Math.ceil((read * price.input + written * price.output) * (nano / tokensOfPrice)))
}

/** As people write it. */
export const money = (amount: number): number => Number((amount / nano).toPrecision(6))
