/** Exact numbers, as money and arithmetic need them: a numerator over a denominator greater than zero. */
export interface Fraction {
  readonly over: bigint
  readonly under: bigint
}

export const zero: Fraction = { over: 0n, under: 1n }

/** `12`, `-3.50`; undefined for anything else, exponents and thousands marks included. */
export function parseDecimal(text: string): Fraction | undefined {
  const match = /^([+-]?)(\d{1,400})(?:\.(\d{1,400}))?$/.exec(text.trim())
  if (!match) return undefined
  const [, sign, whole = '', decimals = ''] = match
  const units = BigInt(whole + decimals)
  return reduce(sign === '-' ? -units : units, 10n ** BigInt(decimals.length))
}

export function add(a: Fraction, b: Fraction): Fraction {
  return reduce(a.over * b.under + b.over * a.under, a.under * b.under)
}

export function multiply(a: Fraction, b: Fraction): Fraction {
  return reduce(a.over * b.over, a.under * b.under)
}

export function negate(a: Fraction): Fraction {
  return { over: -a.over, under: a.under }
}

/** undefined for zero */
export function invert(a: Fraction): Fraction | undefined {
  if (a.over === 0n) return undefined
  return a.over < 0n ? { over: -a.under, under: -a.over } : { over: a.under, under: a.over }
}

/** As a decimal; `exact` is false where it had to be rounded to `places`, half away from zero. */
export function formatDecimal({ over, under }: Fraction, places = 12): { text: string; exact: boolean } {
  const sign = over < 0n ? '-' : ''
  const size = over < 0n ? -over : over
  const decimals = decimalsOf(under)
  const shown = decimals ?? places
  const scaled = size * 10n ** BigInt(shown)
  const rounded = (scaled * 2n + under) / (under * 2n)
  const digits = rounded.toString().padStart(shown + 1, '0')
  const text = shown === 0 ? digits : `${digits.slice(0, -shown)}.${digits.slice(-shown)}`
  const short = decimals === undefined ? text.replace(/\.?0+$/, '') : text
  return { text: /^[0.]*$/.test(short) ? '0' : sign + short, exact: decimals !== undefined }
}

/** How many decimals say 1/under exactly, if any number does. */
function decimalsOf(under: bigint): number | undefined {
  let twos = 0
  let fives = 0
  let rest = under
  for (; rest % 2n === 0n; rest /= 2n) twos++
  for (; rest % 5n === 0n; rest /= 5n) fives++
  return rest === 1n ? Math.max(twos, fives) : undefined
}

function reduce(over: bigint, under: bigint): Fraction {
  let a = over < 0n ? -over : over
  let b = under
  while (b !== 0n) [a, b] = [b, a % b]
  return a === 0n ? zero : { over: over / a, under: under / a }
}
