/** Who hears whom. Pure. */
import type { Topology } from './rules.js'

/**
 * For each voter, by its place, the places of those whose last vote it hears; never its own.
 *
 *     heardBy('ring', 5)[0]           // [1, 4]
 *     heardBy({ sparse: 2 }, 5)[0]    // [1, 2]
 *     heardBy('star', 4)              // [[1, 2, 3], [0], [0], [0]]
 */
export function heardBy(topology: Topology, voters: number): number[][] {
  return Array.from({ length: voters }, (_, place) =>
    [...new Set(stepsOf(topology, voters, place).map((step) => (place + step) % voters))]
      .filter((other) => other !== place)
      .sort((a, b) => a - b),
  )
}

function stepsOf(topology: Topology, voters: number, place: number): number[] {
  if (topology === 'ring') return [1, voters - 1]
  if (topology === 'star' && place !== 0) return [voters - place]
  if (topology === 'all' || topology === 'star') return Array.from({ length: voters - 1 }, (_, index) => index + 1)
  return strides(topology.sparse, voters)
}

/** 1, 2, 4, 8 … carry a vote to everybody in few rounds; then whatever is left. */
function strides(count: number, voters: number): number[] {
  const doubling = Array.from({ length: 32 }, (_, power) => 2 ** power).filter((step) => step < voters)
  const others = Array.from({ length: Math.max(0, voters - 1) }, (_, index) => index + 1)
  return [...new Set([...doubling, ...others])].slice(0, count)
}
