import { z } from 'zod'

/** A value with where it was read, such as 'lscpu -J' or '/proc/meminfo'. */
export function factSchema<T extends z.ZodType>(value: T) {
  return z.object({ value, source: z.string() })
}

export interface Fact<T> {
  value: T
  source: string
}

export function fact<T>(value: T, source: string): Fact<T> {
  return { value, source }
}
