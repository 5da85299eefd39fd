/**
 * What an agent may still spend, in tokens or in money.
 *
 * 1. What is spent and what is set aside never exceed the limit: what a call may cost at most is set aside before it is made.
 * 2. A child's limit is set aside from its parent's allowance, so children together never exceed their parent.
 * 3. A call that ends without a bill has cost all that was set aside for it.
 */
export class Allowance {
  readonly limit: number
  #spent = 0
  #aside = 0

  /** `spent`: before, by a run that goes on. */
  constructor(limit: number, spent = 0) {
    this.limit = limit
    this.#spent = spent
  }

  get spent(): number {
    return this.#spent
  }

  get left(): number {
    return Math.max(0, this.limit - this.#spent - this.#aside)
  }

  /** Sets so much aside; undefined if less is left. Settle it once, with the bill, or null where none came. */
  setAside(amount: number): Reservation | undefined {
    if (amount > this.left) return undefined
    this.#aside += amount
    let open = true
    return {
      amount,
      settle: (bill) => {
        if (!open) return
        open = false
        this.#aside -= amount
        this.#spent += bill ?? amount
      },
    }
  }
}

export interface Reservation {
  readonly amount: number
  settle(bill: number | null): void
}
