import type { GenerateEvent } from '../backend.js'

/** The events of one answer, between the process that sends them and the loop that reads them. Bounded by the answer itself. */
export class Inbox {
  private readonly events: GenerateEvent[] = []
  private failure: Error | undefined
  private wake: (() => void) | undefined

  push(event: GenerateEvent): void {
    this.events.push(event)
    this.wake?.()
  }

  /** The reader gets the first failure at once; what it has not read by then is void. */
  fail(failure: Error): void {
    this.failure ??= failure
    this.wake?.()
  }

  async next(): Promise<GenerateEvent> {
    for (;;) {
      if (this.failure) throw this.failure
      const event = this.events.shift()
      if (event) return event
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }
}
