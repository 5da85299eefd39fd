import type { ErrorCode } from '../policies/errors.js'

/**
 * Counts what was not let in, and writes it down once a second at most for each reason: a flood of forgeries must not become a flood of
 * audit events, and none of them goes unmentioned.
 */
export class Refusals {
  readonly #write: (facts: Record<string, unknown>) => Promise<void>
  readonly #folded = new Map<string, { facts: Record<string, unknown>; count: number }>()
  #timer: NodeJS.Timeout | undefined

  constructor(write: (facts: Record<string, unknown>) => Promise<void>) {
    this.#write = write
  }

  count(code: ErrorCode, reason: string, node: string | undefined): void {
    const key = `${code} ${reason} ${node}`
    const known = this.#folded.get(key)
    if (known) known.count += 1
    // A flood with a thousand different reasons in one second is folded into what is known of it.
    else if (this.#folded.size < 100) this.#folded.set(key, { facts: { code, reason, node: node ?? null }, count: 1 })
    this.#timer ??= setTimeout(() => this.flush(), 1000)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const { facts, count } of this.#folded.values()) void this.#write({ ...facts, count }).catch(() => undefined)
    this.#folded.clear()
  }
}
