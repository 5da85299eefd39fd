/** What one action was refused, told so that no flood of it is one of events: the same at once and one time, and in the end how often it came again. What is beyond so many is told as one. */

const most = 64

export class Folded<Facts extends object> {
  readonly #tell: (facts: Facts & { again?: number }) => void
  readonly #unnamed: (facts: Facts) => Facts
  readonly #told = new Map<string, { facts: Facts; count: number }>()

  /** `unnamed`: what is said in the place of those that are too many to name. */
  constructor(tell: (facts: Facts & { again?: number }) => void, unnamed: (facts: Facts) => Facts) {
    this.#tell = tell
    this.#unnamed = unnamed
  }

  take(facts: Facts): void {
    const isMany = this.#told.size >= most
    const key = JSON.stringify(facts)
    const known = this.#told.get(key) ?? this.#told.get('')
    if (known) {
      known.count += 1
      return
    }
    const first = isMany ? this.#unnamed(facts) : facts
    this.#told.set(isMany ? '' : key, { facts: first, count: 1 })
    this.#tell(first)
  }

  end(): void {
    for (const { facts, count } of this.#told.values()) if (count > 1) this.#tell({ ...facts, again: count - 1 })
  }
}

/** Why it was, of those. */
export const tooManyToName = 'there were too many others to name'
