/** What a command is: its name, help, options and what it does. Help and dispatch read the same values. */

import type { ParseArgsConfig } from 'node:util'
import { ClawmeshError } from '../../policies/errors.js'

export interface Option {
  type: 'string' | 'boolean'
  /** What stands for the value in the help. */
  value?: string
  /** It may be given several times. */
  many?: true
  help: string
}

export interface Command {
  /** One to three words: "start", "audit verify", "models provider add". */
  name: string
  /** What follows the name, as help shows it. */
  usage: string
  help: string
  options: Record<string, Option>
  /** What the one word after the name is, for a command that takes one. */
  takes?: string
  /** Set for an earlier spelling, which works and is not shown. */
  old?: true
  run(given: string | undefined, values: Values): Promise<number>
}

/** The same command under the name that it had. */
export const formerly = (name: string, command: Command): Command => ({ ...command, name, old: true })

export type Values = Record<string, string | boolean | (string | boolean)[] | undefined>

export const parseConfig = (options: Command['options']): NonNullable<ParseArgsConfig['options']> =>
  Object.fromEntries(Object.entries(options).map(([name, { type, many = false }]) => [name, { type, multiple: many }]))

export const text = (values: Values, name: string): string | undefined => {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** Of an option that is a number: undefined where it is not given. Throws USAGE for what is none between these. */
export function whole(values: Values, name: string, least: number, most: number): number | undefined {
  const given = text(values, name)
  if (given === undefined) return undefined
  const number = Number(given)
  if (/^\d{1,15}$/.test(given) && number >= least && number <= most) return number
  throw new ClawmeshError('USAGE', `--${name} takes a whole number from ${least} to ${most}, not "${given}".`, {
    hint: `For example --${name} ${Math.min(most, Math.max(least, 3))}.`,
  })
}

/** Of an option that may be given several times. */
export const texts = (values: Values, name: string): string[] => {
  const value = values[name]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
