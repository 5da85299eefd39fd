/** The time of a task: an instant in its journal, the same in every life. */
import { ClawmeshError } from '../../policies/errors.js'

/** What a timer can wait for: longer ones would fire at once. */
const longestTimerMs = 2 ** 31 - 1

/** Calls once when the instant (milliseconds since 1970) has come; what it gives back calls it off. */
export function whenOver(until: number, now: () => number, over: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    const left = until - now()
    if (left <= 0) return over()
    timer = setTimeout(look, Math.min(left, longestTimerMs))
  }
  look()
  return () => clearTimeout(timer)
}

export const timeOver = (id: string, until: number) =>
  new ClawmeshError('BUDGET_SPENT', `The time of task ${id} was over at ${new Date(until).toISOString()}.`, {
    hint: 'Ask again with more time; what it did is on record.',
    data: { task: id, lacking: 'time', until },
  })
