/**
 * What a task may use, as its journal tells it: tokens, money and time. Pure.
 *
 * 1. What is spent, set aside and left is the limit, for each: what a call may use at most is on record before it is made.
 * 2. A call that was cut off has used all that was set aside for it; of time no more than passed until somebody went on.
 * 3. The budget of a child is set aside from its parent's, whole; what it did not use comes back when it has ended, and is never lost by a crash.
 */
import { z } from 'zod'

const amount = z.number().nonnegative().finite()

/** Tokens of prompts and answers; money in the currency of the price table; time in milliseconds, of calls, not of waiting for people. What is left out is not limited. */
export const amountsSchema = z.strictObject({
  tokens: amount.exactOptional(),
  money: amount.exactOptional(),
  ms: amount.exactOptional(),
})
export type Amounts = z.output<typeof amountsSchema>

const kinds = ['tokens', 'money', 'ms'] as const

export const budgetRecords = [
  /** `child`: the task that it is the budget of. */
  z.object({
    type: z.literal('reserved'),
    number: z.int().nonnegative(),
    purpose: z.string(),
    amounts: amountsSchema,
    at: z.number(),
    child: z.string().exactOptional(),
  }),
  z.object({ type: z.literal('billed'), number: z.int().nonnegative(), amounts: amountsSchema }),
] as const

/** Of what is not limited, nothing is said to be left. */
export const budgetStateSchema = z.object({
  limit: amountsSchema,
  spent: amountsSchema,
  /** For what is under way. */
  reserved: amountsSchema,
  left: amountsSchema,
})
export type BudgetState = Readonly<z.output<typeof budgetStateSchema>>

export type BudgetRecord = z.output<(typeof budgetRecords)[number]>

export interface Reserved {
  readonly number: number
  readonly purpose: string
  readonly amounts: Amounts
  readonly at: number
  readonly child: string | undefined
}

export class Budget {
  readonly limit: Amounts
  readonly #open = new Map<number, Reserved>()
  #spent: Amounts = {}
  #numbers = 0

  constructor(limit: Amounts) {
    this.limit = limit
  }

  take(record: BudgetRecord): void {
    if (record.type === 'billed') return this.#settle(record.number, record.amounts)
    const { number, purpose, amounts, at, child } = record
    this.#open.set(number, { number, purpose, amounts, at, child })
    this.#numbers = Math.max(this.#numbers, number + 1)
  }

  /** Somebody goes on at this time: who had the calls that are under way is gone. */
  resumed(at: number): void {
    for (const { number, amounts, at: since, child } of [...this.#open.values()]) {
      if (child !== undefined) continue
      const passed = Math.max(0, at - since)
      this.#settle(number, amounts.ms === undefined ? amounts : { ...amounts, ms: Math.min(amounts.ms, passed) })
    }
  }

  get nextNumber(): number {
    return this.#numbers
  }

  /** The one that is a child's, as long as it has not ended. */
  ofChild(child: string): Reserved | undefined {
    return this.children.find((each) => each.child === child)
  }

  get children(): Reserved[] {
    return [...this.#open.values()].filter(({ child }) => child !== undefined)
  }

  /** What of these is more than is left, or no amount at all; undefined if nothing is. */
  lacks(amounts: Amounts): (typeof kinds)[number] | undefined {
    const { left } = this.state
    const isLeft = (of = 0, most = Number.MAX_VALUE) => of >= 0 && of <= most
    return kinds.find((kind) => !isLeft(amounts[kind], left[kind]))
  }

  get state(): BudgetState {
    const reserved = [...this.#open.values()].reduce<Amounts>((sum, { amounts }) => plus(sum, amounts), {})
    const used = plus(this.#spent, reserved)
    const left: Amounts = {}
    for (const kind of kinds) {
      const limit = this.limit[kind]
      if (limit !== undefined) left[kind] = Math.max(0, limit - (used[kind] ?? 0))
    }
    return { limit: this.limit, spent: this.#spent, reserved, left }
  }

  #settle(number: number, amounts: Amounts): void {
    if (this.#open.delete(number)) this.#spent = plus(this.#spent, amounts)
  }
}

function plus(a: Amounts, b: Amounts): Amounts {
  const sum: Amounts = {}
  for (const kind of kinds)
    if (a[kind] !== undefined || b[kind] !== undefined) sum[kind] = (a[kind] ?? 0) + (b[kind] ?? 0)
  return sum
}
