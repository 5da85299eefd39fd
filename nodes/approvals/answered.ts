/** Questions that are over, the last few hundred: whoever asks again has the answer that there was, and whoever decides after another learns so. */
import { ClawmeshError } from '../../policies/errors.js'
import type { Book, Kept } from './book.js'
import type { Verdict } from './question.js'

const most = 300

export class Answered {
  readonly #book: Book
  /** The oldest first. */
  readonly #kept = new Map<string, Kept>()

  constructor(book: Book) {
    this.#book = book
  }

  get(id: string): Kept | undefined {
    return this.#kept.get(id)
  }

  list(): Kept[] {
    return [...this.#kept.values()]
  }

  /** The oldest leaves the book where there are too many. */
  add({ question, revision }: Kept): void {
    this.#kept.set(question.id, { question, revision })
    const [oldest] = this.#kept.keys()
    if (this.#kept.size <= most || oldest === undefined) return
    this.#kept.delete(oldest)
    void this.#book.forget(oldest).catch(() => undefined)
  }

  /** Resolves to the ids of the questions, when none of them is in the book any more. */
  async forgetTasks(tasks: ReadonlySet<string>): Promise<string[]> {
    const ids = this.list().flatMap(({ question: { id, task } }) => (tasks.has(task) ? [id] : []))
    for (const id of ids) {
      await this.#book.forget(id)
      this.#kept.delete(id)
    }
    return ids
  }

  /** Why a question that does not wait takes no decision. */
  objection(id: string): ClawmeshError {
    const verdict = this.#kept.get(id)?.question.verdict
    return verdict
      ? new ClawmeshError('ALREADY_DECIDED', alreadyDecided(verdict), { hint: 'Your answer changes nothing.' })
      : new ClawmeshError('NOT_FOUND', `There is no question ${id}.`, { hint: 'List those that are open.' })
  }
}

/** No person: no key and no certificate has such a name. */
export const isNobody = (by: string) => by.startsWith('nobody:')

const alreadyDecided = ({ answer, by, at }: Verdict): string =>
  isNobody(by)
    ? `It is too late: the action was refused at ${new Date(at).toISOString()} (${by.replace(/^nobody: /, '')}).`
    : `It is decided already: ${answer === 'allow' ? 'allowed' : 'refused'} by ${by} at ${new Date(at).toISOString()}.`
