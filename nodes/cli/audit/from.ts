/** `--from TIME|SEQ`, as the commands that read the trail take it. */
import { ClawmeshError } from '../../../policies/errors.js'
import type { From } from '../../audit/read.js'
import { type Option, text, type Values } from '../command.js'

export const fromOption: Option = {
  type: 'string',
  value: 'TIME|SEQ',
  help: 'from a time (2026-01-31T12:00Z), an age (15m, 2h, 3d) or a stream message on',
}

/** Undefined where it is not given. Throws USAGE. */
export function fromOf(values: Values, now: number): From | undefined {
  const given = text(values, 'from')
  if (given === undefined) return undefined
  if (/^\d+$/.test(given)) return { sequence: Number(given), since: Number.NEGATIVE_INFINITY }
  return { sequence: 0, since: timeOf(given, now) }
}

const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds since 1970, of a time or an age. Throws USAGE. */
export function timeOf(given: string, now: number): number {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(given) ?? []
  const time = count === undefined ? Date.parse(given) : now - Number(count) * (unitMs[unit] ?? 0)
  if (!Number.isNaN(time)) return time
  throw new ClawmeshError('USAGE', `"${given}" is no time.`, {
    hint: 'For example 2026-01-31T12:00Z, or 15m, 2h, 3d ago.',
  })
}
