import { ClawmeshError } from '../../policies/errors.js'

const units = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const longest = 366 * units.d

/** "90s", "15m", "1h", "7d" in milliseconds; undefined for what is no length of time, or none. */
export function lengthOf(given: string): number | undefined {
  const [, digits, unit] = /^(\d{1,6})([smhd])$/.exec(given) ?? []
  return Number(digits) > 0 ? Number(digits) * units[unit as keyof typeof units] : undefined
}

/** The same, up to a year. Throws USAGE. */
export function readDuration(given: string, option: string): number {
  const length = lengthOf(given)
  if (length !== undefined && length <= longest) return length
  throw new ClawmeshError('USAGE', `"${given}" is no length of time.`, {
    hint: `Give --${option} as 90s, 15m, 1h or 7d, at most a year.`,
  })
}
