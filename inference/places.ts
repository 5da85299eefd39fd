import { setMaxListeners } from 'node:events'
import { ClawmeshError } from '../policies/errors.js'
import { cancelled } from './backend.js'

/** Room with a server for so many answers at once, those included that wait there for their turn. One more is refused, and all end when it is closed. */
export class Places {
  private readonly most: number
  private readonly closing = new AbortController()
  private readonly taken = new Set<symbol>()

  constructor(most: number) {
    this.most = most
    // Each answer under way listens.
    setMaxListeners(0, this.closing.signal)
  }

  /** An answer in a place of its own, with a signal that says when it is not wanted any more. Throws CANCELLED, MODEL_BUSY. */
  async *take<T>(answer: (signal: AbortSignal) => AsyncIterable<T>, signal?: AbortSignal): AsyncIterable<T> {
    const { signal: closed } = this.closing
    if (closed.aborted || signal?.aborted) throw cancelled()
    if (this.taken.size >= this.most) throw busy(this.most)
    const place = Symbol()
    const free = (): boolean => this.taken.delete(place)
    this.taken.add(place)
    // Whoever cancels may ask again at once, before the answer has come to its end.
    signal?.addEventListener('abort', free)
    try {
      yield* answer(signal ? AbortSignal.any([signal, closed]) : closed)
    } finally {
      free()
      signal?.removeEventListener('abort', free)
    }
  }

  /** Ends all answers with CANCELLED; false if that was done before. */
  close(): boolean {
    if (this.closing.signal.aborted) return false
    this.closing.abort()
    return true
  }
}

function busy(slots: number): ClawmeshError {
  return new ClawmeshError('MODEL_BUSY', `The model has ${slots} answers under way.`, {
    hint: 'Ask again in a moment.',
  })
}
