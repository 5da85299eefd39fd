/**
 * What an agent can do. A name of the closed set, or of a general tool, runs in a sandbox, and so does a function of your own (own-tool.ts), unless you say that it runs in the
 * agent's process, with all that this process may do. Another agent takes a task with a part of this one's budget. A tool of an MCP server is called where that runs.
 */
import { z } from 'zod'
import { type ToolSpec, toolSpecSchema } from '../../../inference/tool.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { findTool, type GeneralToolName, type ToolName } from '../../../sandbox/index.js'
import type { Portion } from '../authority.js'
import type { McpTool } from '../mcp/tool.js'
import type { MemoryTool } from '../memory/tool.js'
import { generalTools, offeredTools } from '../tools.js'

export interface OwnTool {
  readonly kind: 'own'
  readonly spec: ToolSpec
  /** Throws a ClawmeshError MESSAGE_INVALID for arguments that its schema does not take. */
  call(args: Record<string, unknown>, signal: AbortSignal): Promise<unknown>
}

/** A function that stands alone: a sandbox runs it as a program. */
export interface FunctionTool {
  readonly kind: 'function'
  readonly spec: ToolSpec
  /** Whether it may simply be called again where nobody knows what came of it. */
  readonly repeatable: boolean
  /** What the tool `node` is to be given; `as` is what people are told that it is, its name if left out. Throws a ClawmeshError MESSAGE_INVALID for arguments that its schema does not take. */
  program(args: Record<string, unknown>, as?: string): { code: string; reads?: string[]; writes?: string[] }
}

export interface Delegate {
  readonly kind: 'delegate'
  readonly spec: ToolSpec
  /** The actor that answers RunTask. */
  readonly agent: string
  /** Of what this agent has left when it delegates: above 0, at most 1. */
  readonly share: number
  /** Handed over: the other's answer is the end of the task. Otherwise it is an observation. */
  readonly hands: boolean
  /** The task in words. Throws a ClawmeshError MESSAGE_INVALID for arguments that do not fit. */
  task(args: Record<string, unknown>): string
  /** What it may use and where in the workspace, at most; see `Portion`. */
  readonly tools: readonly string[] | undefined
  readonly folders: readonly string[] | undefined
}

export interface SandboxedTool {
  readonly kind: 'sandboxed'
  readonly spec: ToolSpec
  /** Whether it may simply be used again where nobody knows what came of it. */
  readonly repeatable: boolean
  /** Whether it may use a network. */
  readonly reaches: boolean
}

/** Of any kind, as an agent has it. */
export type HeldTool = SandboxedTool | FunctionTool | OwnTool | Delegate | McpTool | MemoryTool

export type AgentTool = ToolName | GeneralToolName | FunctionTool | OwnTool | Delegate | McpTool | MemoryTool

interface Delegation extends Pick<Portion, 'tools' | 'folders'> {
  name: string
  description: string
  /** An actor that answers RunTask. */
  agent: string
  share?: number
}

/** Another agent does a part, and its answer is what this one goes on from. It gets half of the budget that is left, unless said otherwise. */
export const delegate = (definition: Delegation): Delegate =>
  delegation({ share: 0.5, ...definition }, delegateArgs, false, ({ task }) => task)

/**
 * Another agent takes the task over, with all of the budget that is left unless said otherwise, and its answer is this one's. `args` say what has to be handed
 * over, and `words` how the other is told of it; without them it is told a task in words.
 */
export function handoff<A extends z.ZodObject = typeof delegateArgs>(
  definition: Delegation & { args?: A; words?: (args: z.output<A>) => string },
): Delegate {
  const { args, words, ...rest } = definition
  if (!args) return delegation({ share: 1, ...rest }, delegateArgs, true, ({ task }) => task)
  return delegation({ share: 1, ...rest }, args, true, words ?? ((given) => JSON.stringify(given)))
}

const delegateArgs = z.object({ task: z.string().min(1).describe('what is to be done, in words') })

function delegation<A extends z.ZodObject>(
  { name, description, agent, share, tools, folders }: Delegation & { share: number },
  args: A,
  hands: boolean,
  words: (args: z.output<A>) => string,
): Delegate {
  if (!(share > 0 && share <= 1))
    throw new ClawmeshError('USAGE', `${name}: a share of ${share} of a budget cannot be given away.`, {
      hint: 'Give a share above 0 and at most 1.',
    })
  return {
    kind: 'delegate',
    spec: specOf(name, description, args),
    agent,
    share,
    hands,
    tools,
    folders,
    task: (given) => {
      const parsed = args.safeParse(given)
      if (!parsed.success) throw new ClawmeshError('MESSAGE_INVALID', `${name}: ${z.prettifyError(parsed.error)}`)
      return words(parsed.data)
    },
  }
}

/** Throws USAGE for a name that no tool has, or that two have. */
export function toolbox(tools: readonly AgentTool[]): Map<string, HeldTool> {
  const box = new Map<string, HeldTool>()
  for (const tool of tools.map(resolved)) {
    const { name } = tool.spec
    if (box.has(name) || name === finishName)
      throw new ClawmeshError('USAGE', `There are two tools named ${name}.`, { hint: 'Give one of them another name.' })
    box.set(name, tool)
  }
  return box
}

function resolved(tool: AgentTool): HeldTool {
  if (typeof tool !== 'string') return tool
  const known = [...offeredTools, ...generalTools]
  const spec = known.find(({ name }) => name === tool)
  const definition = findTool(tool)
  if (spec && definition)
    return { kind: 'sandboxed', spec, repeatable: !definition.hasEffect, reaches: definition.reaches }
  throw new ClawmeshError('USAGE', `There is no tool ${tool}.`, {
    hint: `In the sandbox there are: ${known.map(({ name }) => name).join(', ')}.`,
  })
}

export const finishName = 'finish'

/** How a model says that it is done: the answer is what the output schema says. */
export const finishTool = (output: z.ZodType | undefined): ToolSpec =>
  specOf(finishName, 'Give the answer and end.', z.object({ answer: output ?? z.string() }))

export function specOf(name: string, description: string, args: z.ZodObject): ToolSpec {
  const { $schema: _, ...parameters } = z.toJSONSchema(args, { io: 'input' })
  return toolSpecSchema.parse({ name, description, parameters })
}
