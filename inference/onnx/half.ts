/** IEEE 754 binary16, as JavaScript before it had arrays of such numbers. */

/** All of them, by their bits: a vocabulary is widened for each token. */
let halves: Float32Array | undefined

/** Numbers that can be reckoned with, in memory of their own. */
export function widenedHalves(bits: Uint16Array): Float32Array {
  halves ??= Float32Array.from({ length: 1 << 16 }, (_, each) => numberOfHalf(each))
  const wide = new Float32Array(bits.length)
  for (let i = 0; i < wide.length; i++) wide[i] = halves[bits[i] ?? 0] ?? 0
  return wide
}

/** A sign, five bits of exponent, ten of fraction. */
function numberOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff]
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}
