import { ClawmeshError } from '../../policies/errors.js'
import type { Kind } from '../post/letter.js'
import type { Peer } from '../seal/incarnation.js'
import type { Expiring } from './deadlines.js'

/** What a call's answers go to. */
export interface Sink {
  receive(kind: Kind, body: unknown): void
  fail(error: ClawmeshError): void
}

/** What a call has its node do. */
export interface Books {
  ended(call: Call): void
  /** Tells the other side that nobody waits. */
  cancel(call: Call): void
}

/** A call on its way. Whatever ends it first (answer, error, deadline, abort) takes it off the books, so nothing can settle it twice. */
export class Call implements Expiring {
  readonly peer: Peer
  readonly number: number
  readonly deadline: number
  slot = 0
  readonly #message: string
  readonly #signal: AbortSignal | undefined
  readonly #sink: Sink
  readonly #books: Books
  readonly #onAbort: (() => void) | undefined
  #hasEnded = false

  constructor(
    peer: Peer,
    number: number,
    deadline: number,
    message: string,
    signal: AbortSignal | undefined,
    sink: Sink,
    books: Books,
  ) {
    this.peer = peer
    this.number = number
    this.deadline = deadline
    this.#message = message
    this.#signal = signal
    this.#sink = sink
    this.#books = books
    if (!signal) return
    this.#onAbort = () => this.#giveUp(cancelled(signal))
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  receive(kind: Kind, body: unknown): void {
    if (kind === 'reply' || kind === 'end') this.#end()
    this.#sink.receive(kind, body)
  }

  fail(error: ClawmeshError): void {
    this.#end()
    this.#sink.fail(error)
  }

  /** Nobody wants the answer any more. */
  cancel(): void {
    if (this.#end()) this.#books.cancel(this)
  }

  expire(): void {
    this.#giveUp(
      new ClawmeshError('DEADLINE', `Node "${this.peer.certificate.name}" did not answer ${this.#message} in time.`),
    )
  }

  #giveUp(error: ClawmeshError): void {
    this.cancel()
    this.#sink.fail(error)
  }

  /** False if it had ended before. */
  #end(): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    this.#books.ended(this)
    if (this.#onAbort) this.#signal?.removeEventListener('abort', this.#onAbort)
    return true
  }
}

export function cancelled(signal: AbortSignal | undefined): ClawmeshError {
  if (signal?.reason instanceof ClawmeshError) return signal.reason
  return new ClawmeshError('CANCELLED', 'The call was cancelled.', { cause: signal?.reason })
}
