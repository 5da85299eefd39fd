/**
 * What is computed in one step: which answers go together, and how many tokens of each. Pure.
 *
 * Reading the weights costs as much whether one row of tokens goes through them or several, so answers that want a token each go together. A long prompt
 * is worth a run of its own, a chunk at a time, between which the others get their tokens.
 */
export interface Wanted<T> {
  of: T
  /** Tokens still to be fed. At least one. */
  pending: number
}

/** `count` tokens of each of these in one run. */
export type Run<T> = { of: T; count: number }[]

/** Most tokens of a prompt in one run. */
export const chunkTokens = 64
/** More tokens than this are not fed beside others: they would all be filled up to that length. */
const besideOthers = 8
/** A run costs as much as this many rows more than it has. */
const rowsOfRun = 8
/** Every so many steps the longest waiting prompt goes first, whatever its length. */
const oldestEvery = 4

/**
 * The runs of a step. `fillsUp`: whether those that go together may be fed unlike numbers of tokens. `wanted` in the order of admission; `step` counts steps.
 *
 * 1. Each short one is in exactly one run, at most one long one is: a step is at most one run of all and one chunk.
 * 2. Of long ones the one with least left goes first, but regularly the oldest, so that none waits for ever.
 */
export function runsOf<T>(
  wanted: readonly Wanted<T>[],
  { batches, fillsUp }: { batches: boolean; fillsUp: boolean },
  step: number,
): Run<T>[] {
  if (!batches) return wanted.map(({ of, pending }) => [{ of, count: Math.min(pending, chunkTokens) }])
  const short = wanted.filter(({ pending }) => pending <= besideOthers)
  const long = wanted.filter(({ pending }) => pending > besideOthers)
  const width = fillsUp || short.length === 1 ? widthOf(short.map(({ pending }) => pending)) : 1
  const together = short.map(({ of, pending }) => ({ of, count: Math.min(pending, width) }))
  const next = step % oldestEvery === 0 ? long[0] : long.toSorted((a, b) => a.pending - b.pending)[0]
  const alone = next ? [[{ of: next.of, count: Math.min(next.pending, chunkTokens) }]] : []
  return together.length > 0 ? [together, ...alone] : alone
}

/** How many tokens of each to feed, so that the most are fed for what is computed: the shorter ones are filled up. */
function widthOf(pending: readonly number[]): number {
  const worth = (width: number): number =>
    pending.reduce((sum, each) => sum + Math.min(each, width), 0) / (pending.length * width + rowsOfRun)
  let best = 1
  for (let width = 2; width <= Math.max(0, ...pending); width++) if (worth(width) > worth(best)) best = width
  return best
}
