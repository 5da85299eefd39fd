/** What a research may use and what it has used: its steps are kept by its task, paid from the budget of that, and on one bill. */
import type { z } from 'zod'
import type { Task } from '../../../mesh/task/task.js'
import { mostCostOf } from '../../../policies/prices.js'
import { type Bill, type Market, Purse, type Taken } from '../job/purse.js'
import { tokensOf } from '../model/costs.js'
import { billOf, type ResearchBill, type Used } from './bill.js'

/** Of a prompt, and of a source, for each question that is set aside for it: no tokenizer makes more tokens than there are bytes. */
const bytesOfQuestion = 4000

export class Account {
  readonly #task: Task | undefined
  readonly #market: Market
  readonly #purse: Purse | undefined
  readonly #used: Used[] = []

  /** Without a task nothing is kept, and what it uses has no limit. */
  constructor(task: Task | undefined, market: Market) {
    this.#task = task
    this.#market = market
    this.#purse = task && new Purse(task, market)
  }

  get bill(): ResearchBill {
    return billOf(this.#used, this.#market.prices)
  }

  /** Done once in all lives of its task; what it used is on the bill, whoever did it. */
  async step<T extends { used: readonly Used[] }>(
    name: string,
    result: z.ZodType<T>,
    run: () => Promise<T>,
  ): Promise<T> {
    const done = await (this.#task ? this.#task.step(name, { result, repeatable: true }, run) : run())
    this.#used.push(...done.used)
    return done
  }

  /** What it may take at most is set aside before it is done, and billed by what it used. Rejects with BUDGET_SPENT and PRICE_UNKNOWN. */
  async paid<T extends { used: readonly Used[] }>(
    purpose: string,
    { bytes, ms }: { bytes: number; ms: number },
    work: (taken: Pick<Taken, 'tokens'>) => Promise<T>,
  ): Promise<T> {
    const parts = Math.max(1, Math.ceil(bytes / bytesOfQuestion))
    const taken = await this.#purse?.take(purpose, { parts, ms: Math.max(1, ms) })
    let bill: Bill | null = null
    try {
      const done = await work({ tokens: taken?.tokens })
      bill = { tokens: tokensIn(done.used), uses: done.used }
      return done
    } finally {
      await taken?.settle(bill)
    }
  }

  get hasMoneyLimit(): boolean {
    return this.#task?.budget?.limit.money !== undefined
  }

  /** What costs nobody knows how much is not asked by who has so much to spend. */
  mayAsk(model: string): boolean {
    if (!this.hasMoneyLimit) return true
    return mostCostOf(this.#market.prices, { model, zone: 'elsewhere' }, { tokens: 0, ms: 0 }) !== undefined
  }
}

function tokensIn(used: readonly Used[]): number | null {
  const each = used.map(({ usage }) => tokensOf(usage && { ...usage }))
  return each.reduce<number | null>((sum, one) => (sum === null || one === null ? null : sum + one), 0)
}
