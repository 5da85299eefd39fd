/** A number in [0, 1) at each call. */
export type Random = () => number

/** sfc32 (Chris Doty-Humphrey's small fast counter generator), warmed up: the same seed gives the same numbers everywhere. */
export function seeded(seed: number): Random {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, seed >>> 0, 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 0x1_0000_0000
  }
  for (let i = 0; i < 12; i++) next()
  return next
}

/**
 * Picks one of the allowed tokens. `logits` has a number for each token of the vocabulary. Temperature 0: the likeliest, the
 * lowest id of equals. Throws if the logits of all of them are not numbers.
 */
export function pick(logits: Float32Array, allowed: readonly number[], temperature: number, random: Random): number {
  let best = -1
  let highest = Number.NEGATIVE_INFINITY
  for (const id of allowed) {
    const logit = logits[id] ?? Number.NaN
    if (logit > highest) [best, highest] = [id, logit]
  }
  if (best === -1) throw new Error('the logits of all allowed tokens are not numbers')
  if (temperature === 0) return best
  const weights = allowed.map((id) => Math.exp(((logits[id] ?? Number.NaN) - highest) / temperature) || 0)
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [i, id] of allowed.entries()) {
    left -= weights[i] ?? 0
    if (left < 0) return id
  }
  return best
}
