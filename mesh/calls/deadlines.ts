/**
 * Many deadlines under one timer: a wheel that turns a slot every 20 ms while something hangs on it. Almost all calls end long before their deadline, so
 * hanging one on and taking it off costs next to nothing; in return a deadline is met up to one slot late, never early.
 */
export interface Expiring {
  /** The wheel's to write; 0 at first. */
  slot: number
  expire(): void
}

const slotMs = 20

export class Deadlines {
  readonly #slots = new Map<number, Set<Expiring>>()
  #timer: NodeJS.Timeout | undefined

  /** Calls `expire` once `withinMs` have passed by the monotonic clock, unless the entry is taken off before. */
  add(entry: Expiring, withinMs: number): void {
    entry.slot = Math.ceil((performance.now() + Math.max(0, withinMs)) / slotMs)
    const group = this.#slots.get(entry.slot)
    if (group) group.add(entry)
    else this.#slots.set(entry.slot, new Set([entry]))
    this.#timer ??= this.#soon()
  }

  remove(entry: Expiring): void {
    const group = this.#slots.get(entry.slot)
    if (!group?.delete(entry)) return
    if (group.size === 0) this.#slots.delete(entry.slot)
  }

  #turn(): void {
    const until = Math.floor(performance.now() / slotMs)
    const due = [...this.#slots.keys()].filter((slot) => slot <= until).sort((a, b) => a - b)
    for (const slot of due) {
      const group = this.#slots.get(slot) ?? []
      this.#slots.delete(slot)
      for (const entry of group) entry.expire()
    }
    this.#timer = this.#slots.size > 0 ? this.#soon() : undefined
  }

  /** Where this process stood still, what came meanwhile is read before it is judged who is late. */
  #soon(): NodeJS.Timeout {
    return setTimeout(() => setImmediate(() => this.#turn()), slotMs)
  }
}
