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
  /** Done twice it may do something twice: whoever does not know what came of it does not simply do it again. */
  readonly hasEffect: boolean
  /** It may use the network that the policy lets through: what whoever calls it has seen must be such that it may leave. */
  readonly reaches: boolean
  /** It needs SQLite, for which an older Node needs WebAssembly. */
  readonly needsSqlite: boolean
  /** A program to be run instead of one of our functions; its output and status are the result. */
  readonly program: ((args: Record<string, unknown>) => Program) | undefined
}

export interface Program {
  /** `node`, or the name of a program in the usual folders. */
  readonly command: string
  readonly args: readonly string[]
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
  /** Programs that it starts, by their names in the usual folders or absolute paths. */
  executes?: (args: z.output<Args>) => readonly string[]
  hasEffect?: boolean
  reaches?: boolean
  needsSqlite?: boolean
  /** The same function that runs inside: its arguments must be what `args` accepts. Left out where there is a program. */
  run?: (args: z.output<Args>) => ToolResult | Promise<ToolResult>
  program?: (args: z.output<Args>) => Program
}

export function defineTool<Args extends z.ZodObject>(definition: Definition<Args>): Tool {
  const {
    name,
    description,
    args,
    reads,
    writes,
    executes,
    program,
    hasEffect = false,
    reaches = false,
    needsSqlite = false,
  } = definition
  const charset = Object.fromEntries(
    Object.entries(definition.charset ?? {}).map(([key, value]) => [key, String(value)]),
  )
  return {
    name,
    description,
    args,
    copy: definition.copy ?? [],
    charset,
    hasEffect,
    reaches,
    needsSqlite,
    program: program && ((given) => program(args.parse(given))),
    need: (given, workspace) => {
      const parsed = args.parse(given)
      const absolute = (paths: readonly string[]) => paths.map((path) => resolve(workspace, path))
      return {
        read: absolute(reads?.(parsed) ?? []),
        write: absolute(writes?.(parsed) ?? []),
        program: `tool:${name}`,
        ...(executes && { execute: executes(parsed) }),
      }
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
