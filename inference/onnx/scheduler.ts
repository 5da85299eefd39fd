import { ClawmeshError } from '../../policies/errors.js'

/** Work that is done in steps, each of which blocks the thread. */
export interface Stepwise {
  /** True when there is nothing left to do. */
  step(): Promise<boolean>
}

interface Entry {
  id: number
  work: Stepwise
  fail: (thrown: unknown) => void
}

/**
 * Shares one thread among several pieces of work: a step of each in turn, between two steps whatever arrived meanwhile.
 *
 * 1. At most `slots` are under way and `queue` wait; one more is refused, never dropped.
 * 2. What was cancelled takes no further step, and its slot is free at once.
 */
export class Scheduler {
  private readonly slots: number
  private readonly queue: number
  private active: Entry[] = []
  private waiting: Entry[] = []
  private running = false

  constructor(slots: number, queue: number) {
    this.slots = slots
    this.queue = queue
  }

  /** Throws MODEL_BUSY. `fail` gets what a step throws. */
  submit(id: number, work: Stepwise, fail: (thrown: unknown) => void): void {
    this.refuseWhenFull()
    this.waiting.push({ id, work, fail })
    this.admit()
    if (!this.running) void this.loop()
  }

  /** Throws MODEL_BUSY if there is no room for one more (invariant 1). */
  refuseWhenFull(): void {
    if (this.active.length + this.waiting.length < this.slots + this.queue) return
    throw new ClawmeshError('MODEL_BUSY', `The model has ${this.slots} answers under way and ${this.queue} waiting.`, {
      hint: 'Ask again in a moment.',
    })
  }

  cancel(id: number): void {
    this.active = this.active.filter((entry) => entry.id !== id)
    this.waiting = this.waiting.filter((entry) => entry.id !== id)
    this.admit()
  }

  private admit(): void {
    this.active.push(...this.waiting.splice(0, Math.max(0, this.slots - this.active.length)))
  }

  private async loop(): Promise<void> {
    this.running = true
    while (this.active.length > 0) {
      // A copy: cancelling and admitting change the list while its entries take their steps. Here is where a batch would form.
      for (const entry of [...this.active]) {
        if (this.active.includes(entry) && (await this.advance(entry))) this.cancel(entry.id)
        await new Promise(setImmediate)
      }
    }
    this.running = false
  }

  private async advance({ work, fail }: Entry): Promise<boolean> {
    try {
      return await work.step()
    } catch (thrown) {
      fail(thrown)
      return true
    }
  }
}
