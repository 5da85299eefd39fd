/**
 * How a tool is said: once. Checking of arguments, the description that a model sees, the need that a policy decides on and what runs in
 * the sandbox all follow from this one value.
 */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { Need } from '../../policies/coverage.js'
import type { ToolResult } from './actions.js'

export interface Tool {
  readonly name: string
  readonly description: string
  readonly args: z.ZodObject
  /** Arguments that are always copied word for word from the person's request. */
  readonly copy: readonly string[]
  /** Arguments that hold these characters only, as a set in brackets would say it. */
  readonly charset: Readonly<Record<string, string>>
  /** What it touches, given arguments that `args` has accepted; paths absolute, links not yet followed. */
  readonly need: (args: Record<string, unknown>, workspace: string) => Need
}

/** As a model is offered it; the shape is the OpenAI API's. */
export interface ToolSpec {
  readonly name: string
  readonly description: string
  readonly parameters: Record<string, unknown>
}

interface Definition<Args extends z.ZodObject> {
  name: string
  description: string
  args: Args
  copy?: readonly (keyof z.output<Args> & string)[]
  charset?: Readonly<Partial<Record<keyof z.output<Args> & string, string>>>
  /** Paths as given, relative to the workspace. */
  reads?: (args: z.output<Args>) => readonly string[]
  writes?: (args: z.output<Args>) => readonly string[]
  /** The same function that runs inside: its arguments must be what `args` accepts. */
  run: (args: z.output<Args>) => ToolResult
}

export function defineTool<Args extends z.ZodObject>(definition: Definition<Args>): Tool {
  const { name, description, args, reads, writes } = definition
  const charset = Object.fromEntries(
    Object.entries(definition.charset ?? {}).map(([key, value]) => [key, String(value)]),
  )
  return {
    name,
    description,
    args,
    copy: definition.copy ?? [],
    charset,
    need: (given, workspace) => {
      const parsed = args.parse(given)
      const absolute = (paths: readonly string[]) => paths.map((path) => resolve(workspace, path))
      return { read: absolute(reads?.(parsed) ?? []), write: absolute(writes?.(parsed) ?? []), program: `tool:${name}` }
    },
  }
}

export function toolSpec(tool: Tool): ToolSpec {
  const { $schema: _, ...parameters } = z.toJSONSchema(tool.args)
  const properties = Object.fromEntries(
    Object.entries(parameters.properties ?? {}).map(([name, property]) => [
      name,
      {
        ...(typeof property === 'object' ? property : {}),
        ...(tool.copy.includes(name) ? { 'x-copy': true } : {}),
        ...(tool.charset[name] ? { 'x-charset': tool.charset[name] } : {}),
      },
    ]),
  )
  return { name: tool.name, description: tool.description, parameters: { ...parameters, properties } }
}
