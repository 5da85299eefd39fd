/**
 * An agent: an actor that is given a task, and thinks, acts and observes until it has an answer or may go on no longer.
 *
 *     const clerk = agent(node, { name: 'clerk', instructions: 'Count what you are asked to count.', tools: ['count_lines'] })
 *     const ref = await node.spawn(clerk)
 *     const { answer } = await runTask(ref, 'how many lines has notes.txt')
 *
 * It is supervised like any actor, keeps nothing between tasks but what `tasks` keeps for it, and ends each one within its budget. What it thinks and does is on
 * the audit stream.
 */
import type { z } from 'zod'
import { type ActorRef, actor, type CallOptions, type MeshNode, on } from '../../../mesh/index.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import { portion } from '../authority.js'
import type { Memory } from '../memory/memory.js'
import { memoryTools } from '../memory/tool.js'
import { type AgentEvent, type AgentResult, type Budget, RunTask } from './event.js'
import { Feed } from './feed.js'
import { workOn } from './loop.js'
import { type AgentTool, toolbox } from './tool.js'

export interface AgentOptions {
  name: string
  /**
   * The model that it thinks with; any of the mesh if left out. `provider/model` is one elsewhere, and `auto` one elsewhere as long as the rules of the router
   * let what it has seen leave, and one of the mesh from then on.
   */
  model?: string
  instructions: string
  tools?: readonly AgentTool[]
  /** By tool: 'ask' a person each time, or 'refuse'. It only ever adds to what the policy of the sandbox holds back. */
  /** 'interrupt' ends the run until a person has answered, however long that takes; it needs `tasks`, and a task with an id. */
  policy?: Readonly<Record<string, 'allow' | 'ask' | 'refuse' | 'interrupt'>>
  /** What it remembers from one task to the next: it has the tools `remember`, `recall` and `forget`. */
  memory?: Memory
  /** Keeps the runs of tasks that have an id. */
  tasks?: Tasks
  budget?: Partial<Budget>
  /** By which a budget of money is held; the table that comes with clawmesh if left out. */
  prices?: Prices
  /** What the answer must be; without it, text. */
  output?: z.ZodType
  /** How long one tool may take, beside a person who is asked for what it does in a sandbox; 30 s unless said otherwise. */
  toolMs?: number
  /** Of one answer; 800 unless said otherwise. */
  maxTokens?: number
  temperature?: number
}

const usual: Budget = { tokens: 50_000, ms: 300_000, steps: 20 }

/** Throws USAGE for tools that do not go together. */
export function agent(node: MeshNode, options: AgentOptions) {
  const own = { ...usual, ...options.budget }
  const tools = toolbox([...(options.tools ?? []), ...(options.memory ? memoryTools(options.memory) : [])])
  return actor(options.name, ({ name }) => [
    on(RunTask, ({ task, budget = {}, path, seen, id }, context) => {
      const feed = new Feed<AgentEvent>()
      const assignment = {
        task,
        path,
        seen,
        name,
        budget: smaller(own, budget),
        context,
        say: (event: AgentEvent) => feed.push(event),
      }
      return feed.follow(workOn(node, { ...options, tools }, assignment, id))
    }),
  ])
}

/** Nobody gets more than the agent has by itself. */
const smaller = (own: Budget, given: Partial<{ [K in keyof Budget]: Budget[K] | undefined }>): Budget => ({
  tokens: Math.min(own.tokens, given.tokens ?? own.tokens),
  ms: Math.min(own.ms, given.ms ?? own.ms),
  steps: Math.min(own.steps, given.steps ?? own.steps),
  ...(own.money === undefined && given.money === undefined
    ? {}
    : { money: Math.min(own.money ?? Number.POSITIVE_INFINITY, given.money ?? Number.POSITIVE_INFINITY) }),
})

/**
 * Gives an agent a task and reads to its end. `onEvent` sees what it says meanwhile. It may do for it what the caller may, within the task's budget, unless
 * `entrust` says less.
 */
export async function runTask(
  ref: ActorRef,
  task: string | z.input<(typeof RunTask)['request']>,
  { onEvent, ...options }: CallOptions & { onEvent?: (event: AgentEvent) => void } = {},
): Promise<AgentResult> {
  const request = typeof task === 'string' ? { task } : task
  const entrust = portion(options.grant, { tokens: request.budget?.tokens })
  for await (const event of ref.stream(RunTask, request, {
    timeoutMs: request.budget?.ms ?? usual.ms,
    entrust,
    ...options,
  })) {
    onEvent?.(event)
    if (event.type === 'ended') return event.result
  }
  throw new ClawmeshError('ACTOR_CRASHED', `Agent "${ref.name}" ended without a result.`)
}
