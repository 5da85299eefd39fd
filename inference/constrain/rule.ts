import { ClawmeshError } from '../../policies/errors.js'
import type { ToolArgument, ToolSpec } from '../tool.js'
import { charactersOf } from './charset.js'

/** How one argument may be written in a compact call. */
export type ValueRule =
  | { kind: 'copy' }
  | { kind: 'integer'; minimum: number; maximum: number }
  | { kind: 'charset'; bytes: ReadonlySet<number> }
  | { kind: 'choice'; typed: ReadonlyMap<string, string | number | boolean> }
  | { kind: 'text' }

export interface ArgumentRule {
  name: string
  value: ValueRule
}

export interface ToolRule {
  name: string
  args: readonly ArgumentRule[]
  /** The first this many arguments must be there. */
  required: number
}

/** A tool as the compact format can write it. Throws MODEL_UNSUITED for a schema that it has no way to write. */
export function ruleOf(tool: ToolSpec): ToolRule {
  const { properties, required = [] } = tool.parameters
  const args = Object.entries(properties).map(([name, argument]) => ({
    name,
    value: valueRule(tool.name, name, argument),
  }))
  const count = args.findLastIndex(({ name }) => required.includes(name)) + 1
  if (required.length !== count) throw unwritable(tool.name, 'required arguments must come before all others')
  return { name: tool.name, args, required: count }
}

function valueRule(tool: string, name: string, argument: ToolArgument): ValueRule {
  const { type, enum: choices, minimum = 0, maximum = 999_999_999 } = argument
  if (type === 'boolean')
    return {
      kind: 'choice',
      typed: new Map([
        ['true', true],
        ['false', false],
      ]),
    }
  if (choices) return { kind: 'choice', typed: new Map(choices.map((choice) => [String(choice), choice])) }
  if (type === 'integer') return integerRule(tool, name, Math.max(0, Math.ceil(minimum)), Math.floor(maximum))
  if (type !== 'string') throw unwritable(tool, `${name} is neither a string, an integer, a boolean nor an enum`)
  if (argument['x-copy']) return { kind: 'copy' }
  const charset = argument['x-charset']
  return charset ? { kind: 'charset', bytes: bytesOf(tool, name, charset) } : { kind: 'text' }
}

function integerRule(tool: string, name: string, minimum: number, maximum: number): ValueRule {
  if (minimum > maximum || maximum > Number.MAX_SAFE_INTEGER)
    throw unwritable(tool, `${name} has no room for an integer`)
  return { kind: 'integer', minimum, maximum }
}

function bytesOf(tool: string, name: string, charset: string): ReadonlySet<number> {
  const codes = charactersOf(charset).map((char) => char.codePointAt(0) ?? 0)
  if (codes.some((code) => code > 127)) throw unwritable(tool, `the x-charset of ${name} is not plain ASCII`)
  return new Set(codes)
}

function unwritable(tool: string, why: string): ClawmeshError {
  return new ClawmeshError('MODEL_UNSUITED', `The tool ${tool} cannot be written in the compact call format: ${why}.`, {
    hint: 'Simplify the schema of the tool, or use a model that writes calls as JSON.',
  })
}
