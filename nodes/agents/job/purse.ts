/**
 * What the calls of a job may spend of their task's budget: tokens and money. What a call may take at most is set aside before it is made, and its grant lets it ask models for no more, and of no
 * model whose price is not known where there is a budget of money. Where others have so much set aside that too little is left for now, a call waits for them.
 */
import type { Amounts } from '../../../mesh/task/budget.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Prices } from '../../../policies/prices.js'
import type { Candidate } from '../model/candidate.js'
import { costOfUses, dearest, type PricedUse, priced } from '../model/price.js'
import { offeredTools } from '../tools.js'

/** By what a budget of money is held: the price table, and the models that can be asked now. */
export interface Market {
  prices: Prices
  models: () => readonly Pick<Candidate, 'model' | 'zone'>[]
}

export interface Call {
  /** Parts that it is made of; one unless said otherwise. */
  parts?: number
  /** How long it may take, and how many questions it may have under way at a time. */
  ms: number
  atOnce?: number
}

export interface Bill {
  /** null: nobody counted them. */
  tokens: number | null
  uses: readonly PricedUse[] | null
}

export interface Taken {
  /** Undefined: the task has no budget that they would be a part of. */
  readonly tokens: number | undefined
  /** The models that may be asked, in the words of a grant; undefined: any. */
  readonly models: readonly string[] | undefined
  /** null: nobody said; then it was all of it. To be called once. */
  settle(bill: Bill | null): Promise<void>
}

const toolBytes = Buffer.byteLength(JSON.stringify(offeredTools))
/** Of one question for a tool: no tokenizer makes more tokens than there are bytes. */
const oneQuestion = toolBytes + 1000
/** A part may take so many. */
const questions = 3

export class Purse {
  readonly #task: Task
  readonly #market: Market
  readonly #waiting = new Set<() => void>()
  #open = 0

  constructor(task: Task, market: Market) {
    this.#task = task
    this.#market = market
  }

  /** Rejects with BUDGET_SPENT where too little is left for one question of each part, and nothing will come back; and with PRICE_UNKNOWN. */
  async take(purpose: string, call: Call): Promise<Taken> {
    for (;;) {
      const left = this.#task.budget?.left ?? {}
      if (left.tokens === undefined && left.money === undefined)
        return { tokens: undefined, models: undefined, settle: async () => undefined }
      const wanted = this.#wanted(call, left)
      const isLeft = (kind: 'tokens' | 'money') => (wanted.amounts[kind] ?? 0) <= (left[kind] ?? 0)
      if (this.#open === 0 || (isLeft('tokens') && isLeft('money'))) return this.#setAside(purpose, wanted)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** As much as it may take of what is left; no less than one question of each part, whatever is left. */
  #wanted({ parts = 1, ms, atOnce = 1 }: Call, left: Amounts): Wanted {
    const least = parts * oneQuestion
    let tokens = Math.max(least, Math.min(left.tokens ?? Number.POSITIVE_INFINITY, questions * least))
    if (left.money === undefined) return { tokens, models: undefined, amounts: { tokens } }
    const { prices } = this.#market
    const models = priced(prices, this.#market.models())
    // What grants count of a question leaves its tools out until it is billed: the last one may go beyond by these.
    const cost = () => dearest(prices, models, { tokens: tokens + atOnce * toolBytes, ms: ms * atOnce })
    while (cost() > left.money && tokens > least) tokens = Math.max(least, tokens - least)
    const elsewhere = models.flatMap(({ model, zone }) => (zone === 'elsewhere' ? [model] : []))
    const amounts = { ...(left.tokens === undefined ? {} : { tokens }), money: cost() }
    return { tokens, models: ['mesh', ...new Set(elsewhere)], amounts }
  }

  async #setAside(purpose: string, { tokens, models, amounts }: Wanted): Promise<Taken> {
    this.#open += 1
    try {
      const { settle } = await this.#task.reserve(purpose, amounts)
      return { tokens, models, settle: (bill) => settle(this.#billed(amounts, bill)).finally(() => this.#give()) }
    } catch (error) {
      this.#give()
      throw error
    }
  }

  #billed(amounts: Amounts, bill: Bill | null): Amounts {
    const cost = bill?.uses ? costOfUses(this.#market.prices, bill.uses) : undefined
    return {
      ...(amounts.tokens === undefined ? {} : { tokens: bill?.tokens ?? amounts.tokens }),
      ...(amounts.money === undefined ? {} : { money: cost ?? amounts.money }),
    }
  }

  #give(): void {
    this.#open -= 1
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}

interface Wanted {
  tokens: number
  models: readonly string[] | undefined
  /** Of what is limited. */
  amounts: Amounts
}
