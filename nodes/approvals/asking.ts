/** One action that waits for people, with its two clocks: how long people have, and how long whoever asked may be away. */
import type { ApprovalAnswer } from '../../sandbox/approval.js'
import type { Kept } from './book.js'
import type { Question, View } from './question.js'

export class Asking implements Kept {
  question: Question
  revision: number
  readonly answer: Promise<ApprovalAnswer>
  settle: (answer: ApprovalAnswer) => void = () => undefined
  /** People see it; otherwise it stands behind others of its task. */
  isShown: boolean
  /** Somebody's decision that is being written down. */
  deciding?: Promise<View> | undefined
  #deadline?: NodeJS.Timeout
  #gone?: NodeJS.Timeout

  constructor({ question, revision }: Kept, isShown: boolean) {
    this.question = question
    this.revision = revision
    this.isShown = isShown
    this.answer = new Promise((resolve) => {
      this.settle = resolve
    })
  }

  /** It is in the book, and so people may know of it. */
  get isSeen(): boolean {
    return this.revision > 0
  }

  /** Runs `late` after so long, unless its clocks are stopped before. */
  endAfter(ms: number, late: () => void): void {
    this.#deadline = setTimeout(late, ms).unref()
  }

  /** Whoever asked has gone: runs `gone` unless somebody asks again within so long. */
  awaitAsker(withinMs: number, gone: () => void): void {
    this.#gone = setTimeout(gone, withinMs).unref()
  }

  asksAgain(): void {
    clearTimeout(this.#gone)
  }

  stopClocks(): void {
    clearTimeout(this.#deadline)
    clearTimeout(this.#gone)
  }
}
