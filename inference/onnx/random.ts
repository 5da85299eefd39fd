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

/** For each allowed token, of the pick under way: memory of the size of a vocabulary for each token of each answer would be most of what is collected again. */
let weights = new Float64Array(0)

/**
 * Picks one of the allowed tokens. `logits` has a number for each token of the vocabulary. Temperature 0: the likeliest, the
 * lowest id of equals. Throws if the logits of all of them are not numbers.
 */
export function pick(
  logits: Float32Array,
  allowed: readonly number[] | Int32Array,
  temperature: number,
  random: Random,
): number {
  let best = -1
  let highest = Number.NEGATIVE_INFINITY
  // Plain loops without lists of their own: a vocabulary has tens of thousands of tokens, and this is done for each answer in each step.
  for (let i = 0; i < allowed.length; i++) {
    const id = allowed[i] ?? 0
    const logit = logits[id] ?? Number.NaN
    if (logit > highest) {
      best = id
      highest = logit
    }
  }
  if (best === -1) throw new Error('the logits of all allowed tokens are not numbers')
  if (temperature === 0) return best
  if (weights.length < allowed.length) weights = new Float64Array(allowed.length)
  let sum = 0
  for (let i = 0; i < allowed.length; i++) {
    const gap = ((logits[allowed[i] ?? 0] ?? Number.NaN) - highest) / temperature
    // Beyond that all of them together come to nothing, and each exponential costs time.
    const weight = gap > -30 ? Math.exp(gap) : 0
    weights[i] = weight
    sum += weight
  }
  let left = random() * sum
  for (let i = 0; i < allowed.length; i++) {
    left -= weights[i] ?? 0
    if (left < 0) return allowed[i] ?? best
  }
  return best
}
