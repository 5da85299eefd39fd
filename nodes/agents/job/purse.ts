/**
 * What the calls of a job may spend of their task's budget, in tokens. What a call may take at most is set aside before it is made, and is what its grant lets it ask of models. Where others have so
 * much set aside that too little is left for now, a call waits for them.
 */
import type { Task } from '../../../mesh/task/task.js'
import { offeredTools } from '../tools.js'

export interface Taken {
  /** Undefined: the task has no such budget. */
  readonly tokens: number | undefined
  /** null: nobody said; then it was all of it. To be called once. */
  settle(tokens: number | null): Promise<void>
}

/** Of one question for a tool: no tokenizer makes more tokens than there are bytes. */
const oneQuestion = Buffer.byteLength(JSON.stringify(offeredTools)) + 1000
/** A part may take so many. */
const questions = 3

export class Purse {
  readonly #task: Task
  readonly #waiting = new Set<() => void>()
  #open = 0

  constructor(task: Task) {
    this.#task = task
  }

  /** For so many parts. Rejects with BUDGET_SPENT where too little is left for one question of each, and nothing will come back. */
  async take(purpose: string, parts = 1): Promise<Taken> {
    const least = parts * oneQuestion
    let left = this.#left
    while (left !== undefined && left < least && this.#open > 0) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
      left = this.#left
    }
    if (left === undefined) return { tokens: undefined, settle: async () => undefined }
    const tokens = Math.max(least, Math.min(left, questions * least))
    this.#open += 1
    try {
      const { settle } = await this.#task.reserve(purpose, { tokens })
      return { tokens, settle: (bill) => settle({ tokens: bill ?? tokens }).finally(() => this.#give()) }
    } catch (error) {
      this.#give()
      throw error
    }
  }

  get #left(): number | undefined {
    return this.#task.budget?.left.tokens
  }

  #give(): void {
    this.#open -= 1
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
