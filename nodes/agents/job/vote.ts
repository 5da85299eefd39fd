/** Majority, on each question by itself. Pure. */

export interface Ballot<T> {
  voter: string
  /** Undefined: this voter could not answer. */
  choice: T | undefined
}

export interface Result<T> {
  /** Undefined when no choice has more than half of all voters. */
  winner: T | undefined
  votes: number
  voters: number
}

/** More than half of all who were asked, silent ones included. */
export function majority<T>(ballots: Ballot<T>[]): Result<T> {
  const counted = new Map<string, { choice: T; votes: number }>()
  for (const { choice } of ballots) {
    if (choice === undefined) continue
    const key = JSON.stringify(choice)
    const entry = counted.get(key) ?? { choice, votes: 0 }
    counted.set(key, { choice, votes: entry.votes + 1 })
  }
  const [best] = [...counted.values()].sort((a, b) => b.votes - a.votes)
  const votes = best?.votes ?? 0
  return { winner: votes * 2 > ballots.length ? best?.choice : undefined, votes, voters: ballots.length }
}
