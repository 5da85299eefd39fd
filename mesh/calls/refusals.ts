import type { ErrorCode } from '../../policies/errors.js'

const mostReasons = 100

/**
 * Counts what was not let in, and writes it down once a second at most for each reason: a flood of forgeries must not become a flood of
 * audit events, and none of them goes unmentioned.
 */
export class Refusals {
  readonly #write: (facts: Record<string, unknown>) => Promise<void>
  readonly #whose: 'node' | 'address'
  readonly #folded = new Map<string, { facts: Record<string, unknown>; count: number }>()
  /** Refused for reasons beyond the first hundred of this second. */
  #others = 0
  #timer: NodeJS.Timeout | undefined

  /** `whose`: what the fact is called that says from whom it came. */
  constructor(write: (facts: Record<string, unknown>) => Promise<void>, whose: 'node' | 'address' = 'node') {
    this.#write = write
    this.#whose = whose
  }

  count(code: ErrorCode, reason: string, from: string | undefined): void {
    const key = `${code} ${reason} ${from}`
    const known = this.#folded.get(key)
    if (known) known.count += 1
    else if (this.#folded.size < mostReasons)
      this.#folded.set(key, { facts: { code, reason, [this.#whose]: from ?? null }, count: 1 })
    else this.#others += 1
    this.#timer ??= setTimeout(() => this.flush(), 1000)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#others > 0)
      this.#folded.set('others', {
        facts: { code: null, reason: 'other reasons', [this.#whose]: null },
        count: this.#others,
      })
    this.#others = 0
    for (const { facts, count } of this.#folded.values()) void this.#write({ ...facts, count }).catch(() => undefined)
    this.#folded.clear()
  }
}
