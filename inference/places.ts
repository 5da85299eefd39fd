import { setMaxListeners } from 'node:events'
import { ClawmeshError } from '../policies/errors.js'
import { cancelled } from './backend.js'

/**
 * Room with a server for so many answers at once. Behind them so many more wait here for their turn, in the order in which they came: one that waits at the server cannot be told from one that it has
 * forgotten. One more is refused, and all end when it is closed.
 */
export class Places {
  private readonly slots: number
  private readonly queue: number
  private readonly closing = new AbortController()
  private readonly taken = new Set<symbol>()
  /** Each gives the place that has become free to one that waits. */
  private readonly waiting = new Set<() => void>()

  /** `slots`: undefined where nobody knows how many the server takes; then all that might wait are its own affair. */
  constructor(slots: number | undefined, queue: number) {
    this.slots = slots ?? 1 + queue
    this.queue = slots === undefined ? 0 : queue
    // Each answer under way listens.
    setMaxListeners(0, this.closing.signal)
  }

  /** An answer in a place of its own, with a signal that says when it is not wanted any more. Throws CANCELLED, MODEL_BUSY. */
  async *take<T>(answer: (signal: AbortSignal) => AsyncIterable<T>, signal?: AbortSignal): AsyncIterable<T> {
    const { signal: closed } = this.closing
    const ended = signal ? AbortSignal.any([signal, closed]) : closed
    if (ended.aborted) throw cancelled()
    const place = Symbol()
    if (this.taken.size < this.slots) this.taken.add(place)
    else await this.turn(place, ended)
    const free = (): void => this.free(place)
    // Whoever cancels may ask again at once, before the answer has come to its end.
    signal?.addEventListener('abort', free)
    try {
      yield* answer(ended)
    } finally {
      free()
      signal?.removeEventListener('abort', free)
    }
  }

  /** Ends all answers, and all that wait, with CANCELLED; false if that was done before. */
  close(): boolean {
    if (this.closing.signal.aborted) return false
    this.closing.abort()
    return true
  }

  /** Resolves once the place is taken. Throws CANCELLED, MODEL_BUSY. */
  private turn(place: symbol, ended: AbortSignal): Promise<void> {
    if (this.waiting.size >= this.queue) throw busy(this.slots, this.waiting.size)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiting.delete(give)
        ended.removeEventListener('abort', cancel)
      }
      const give = (): void => {
        leave()
        this.taken.add(place)
        resolve()
      }
      const cancel = (): void => {
        leave()
        reject(cancelled())
      }
      this.waiting.add(give)
      ended.addEventListener('abort', cancel)
    })
  }

  private free(place: symbol): void {
    if (!this.taken.delete(place)) return
    const [first] = this.waiting
    first?.()
  }
}

function busy(slots: number, waiting: number): ClawmeshError {
  const queue = waiting > 0 ? `, and ${waiting} wait for their turn` : ''
  return new ClawmeshError('MODEL_BUSY', `The model has ${slots} answers under way${queue}.`, {
    hint: 'Ask again in a moment.',
  })
}
