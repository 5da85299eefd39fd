/** Answers that stand for more than one action. They live in memory: after a restart a person is asked again. */
import { type Grant, isSpent, type Question, reaches } from './question.js'

const mostKept = 1000

export class Grants {
  readonly #grants = new Map<string, Grant>()

  /** The oldest makes room where there are too many. */
  add(grant: Grant, now: number): void {
    for (const each of this.#grants.values()) if (isSpent(each, now)) this.#grants.delete(each.id)
    const [oldest] = this.#grants.keys()
    if (this.#grants.size >= mostKept && oldest !== undefined) this.#grants.delete(oldest)
    this.#grants.set(grant.id, grant)
  }

  /** The one that answers a question; a no comes before a yes. */
  find(question: Question, now: number): Grant | undefined {
    const found = this.list(now).filter((grant) => reaches(grant, question, now))
    return found.find(({ answer }) => answer === 'refuse') ?? found[0]
  }

  list(now: number): Grant[] {
    return [...this.#grants.values()].filter((each) => !isSpent(each, now))
  }

  /** The tasks that an answer stands for alone. */
  tasks(): string[] {
    return [...new Set([...this.#grants.values()].flatMap(({ task }) => task ?? []))]
  }

  forgetTasks(tasks: ReadonlySet<string>): void {
    for (const { id, task } of this.#grants.values()) if (task !== null && tasks.has(task)) this.#grants.delete(id)
  }

  /** What it was, if it stood. */
  remove(id: string): Grant | undefined {
    const grant = this.#grants.get(id)
    this.#grants.delete(id)
    return grant
  }
}
