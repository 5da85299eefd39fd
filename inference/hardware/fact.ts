import { z } from 'zod'

/** A value with where it was read, such as 'lscpu -J' or '/proc/meminfo'. */
export function factSchema<T extends z.ZodType>(value: T) {
  return z.object({ value, source: z.string() })
}

export interface Fact<T> {
  value: T
  source: string
}

/** Of a text what is plain in it: adverts are read by every node, and shown. */
export function fact(value: string, source: string): Fact<string>
export function fact<T>(value: T, source: string): Fact<T>
export function fact(value: unknown, source: string): Fact<unknown> {
  return { value: typeof value === 'string' ? plain(value) : value, source }
}

/** What a tool calls something, without what moves a cursor or hides (control and format characters), and no longer than a name is. */
export function plain(text: string): string {
  const shown = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, '').trim()
  return shown.length > mostCharacters
    ? [...shown.slice(0, 2 * mostCharacters)].slice(0, mostCharacters).join('')
    : shown
}

const mostCharacters = 200
