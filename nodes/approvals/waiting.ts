/** What waits for people, in the order in which it was asked. Of a task few stand open at a time, the others behind them; there is room for so many, of a task and in all. */
import type { Asking } from './asking.js'
import type { Kept } from './book.js'
import { additions, isSame, type View } from './question.js'

const [mostOfTask, mostInAll] = [100, 1000]

export class Waiting {
  readonly #askings = new Map<string, Asking>()

  get(id: string): Asking | undefined {
    return this.#askings.get(id)
  }

  list(): Asking[] {
    return [...this.#askings.values()]
  }

  ofTask(task: string): Asking[] {
    return this.list().filter(({ question }) => question.task === task)
  }

  /** Those that are in the book. */
  seen(): Asking[] {
    return this.list().filter(({ isSeen }) => isSeen)
  }

  hasRoomFor(task: string): boolean {
    return this.ofTask(task).length < mostOfTask && this.#askings.size < mostInAll
  }

  add(asking: Asking): void {
    this.#askings.set(asking.question.id, asking)
  }

  /** It waits no more. */
  remove(asking: Asking): void {
    asking.stopClocks()
    this.#askings.delete(asking.question.id)
  }

  /** A question as people see it: with how many stand behind it. */
  view({ question: { about: _, ...question }, revision }: Kept): View {
    const { id, task, missing, verdict } = question
    const others = verdict ? [] : this.ofTask(task).filter((other) => other.question.id !== id && !other.isShown)
    const folded = others.filter((other) => isSame(other.question, question)).length
    return { ...question, adds: additions(missing), folded, behind: others.length - folded, revision }
  }
}
