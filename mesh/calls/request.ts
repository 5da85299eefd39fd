import type { Principal } from '../../policies/decide.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Context, Handler } from '../actor/actor.js'
import type { Cell, Work } from '../actor/cell.js'
import type { Grant } from '../capability/grant.js'
import type { Taken } from '../capability/ledger.js'
import type { Letter } from '../post/letter.js'
import type { Expiring } from './deadlines.js'
import type { OpenSpan } from './spans.js'

/** A request from its arrival to its answer, and what its handler knows of it. */
export class Request implements Context, Work, Expiring {
  readonly letter: Letter
  readonly cell: Cell
  readonly handler: Handler
  readonly sender: Principal
  readonly trace: string
  readonly content: unknown
  /** When it came there was time left, by our clock. */
  cameInTime = false
  /** Its handler was called. */
  begun = false
  grant: Grant | undefined
  mailed: string | undefined
  /** Of the grant, by this request. */
  taken: Taken | undefined
  span: OpenSpan | undefined
  slot = 0
  /** Why nobody waits for it any more. */
  broken: ClawmeshError | undefined
  #credit: number
  #abort: AbortController | undefined
  /** Wakes a stream that waits for credit. */
  #more: () => void = () => undefined

  constructor(
    letter: Letter,
    cell: Cell,
    handler: Handler,
    sender: Principal,
    trace: string,
    content: unknown,
    credit: number,
  ) {
    this.letter = letter
    this.cell = cell
    this.handler = handler
    this.sender = sender
    this.trace = trace
    this.content = content
    this.#credit = credit
  }

  get deadline(): number {
    return this.letter.deadline
  }

  /** Made when a handler first looks at it: most never do. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController()
      if (this.broken) this.#abort.abort(this.broken)
    }
    return this.#abort.signal
  }

  bill(tokens: number): void {
    this.taken?.bill(tokens)
  }

  breakOff(reason: ClawmeshError): void {
    if (this.broken) return
    this.broken = reason
    this.#abort?.abort(reason)
    this.#more()
  }

  expire(): void {
    const { cell, handler } = this
    this.breakOff(new ClawmeshError('DEADLINE', `Actor "${cell.name}" did not finish ${handler.message.name} in time.`))
  }

  throwIfBroken(): void {
    if (this.broken) throw this.broken
  }

  addCredit(amount: unknown): void {
    if (typeof amount !== 'number' || amount <= 0) return
    this.#credit += amount
    this.#more()
  }

  /** Takes one item's credit, after the reader has asked for more if there is none. Throws if nobody reads any more. */
  async useCredit(): Promise<void> {
    while (this.#credit <= 0 && !this.broken) {
      await new Promise<void>((resolve) => {
        this.#more = resolve
      })
    }
    this.throwIfBroken()
    this.#credit -= 1
  }
}
