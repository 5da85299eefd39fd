/** Sees an agent that goes round in circles: the same call that brings the same observation again and again. */
export class Repeats {
  readonly #most: number
  readonly #seen = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /** True when this has been seen as often as it may be. */
  add(call: { name: string; arguments: Record<string, unknown> }, observed: string): boolean {
    const key = JSON.stringify([
      call.name,
      Object.entries(call.arguments).sort(([a], [b]) => (a < b ? -1 : 1)),
      observed,
    ])
    const times = (this.#seen.get(key) ?? 0) + 1
    this.#seen.set(key, times)
    return times >= this.#most
  }
}
