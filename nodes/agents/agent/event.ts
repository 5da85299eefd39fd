/** What an agent is asked, and what it says while it works. */
import { z } from 'zod'
import { message } from '../../../mesh/index.js'
import { labels, sensitivitySchema } from '../../../policies/router-label.js'

export const budgetSchema = z.object({
  /** Of prompts and answers, sub-agents included. */
  tokens: z.int().positive(),
  /** Wall time of one task. */
  ms: z.int().positive(),
  /** Thoughts. */
  steps: z.int().positive(),
  /** What models may cost, sub-agents included, in the currency of the price table; as much as it takes if left out. */
  money: z.number().nonnegative().optional(),
})
export type Budget = z.output<typeof budgetSchema>

/** How a task ended. Only 'answer' has an answer; the others say why there is none. */
export const endings = ['answer', 'steps', 'tokens', 'money', 'time', 'loop', 'unusable', 'interrupted'] as const

export const agentResultSchema = z.object({
  by: z.enum(endings),
  answer: z.string(),
  /** The answer as the agent's output schema has it; null without one. */
  output: z.unknown(),
  reason: z.string(),
  steps: z.int(),
  /** Spent by the agent and all that it delegated to; what nobody billed is counted as set aside. */
  tokens: z.int().nonnegative(),
  /** The same of money; null where its budget has none. */
  money: z.number().nonnegative().nullable().default(null),
  /** How sensitive is what it has seen: whoever reads the answer has seen it too. */
  seen: sensitivitySchema,
})
export type AgentResult = z.output<typeof agentResultSchema>

const callSchema = z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) })

export const agentEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('token'), text: z.string() }),
  z.object({
    type: z.literal('thought'),
    step: z.int(),
    text: z.string(),
    /** Tools that it wants to use, or the one that ends the task. */
    calls: z.array(callSchema),
    tokens: z.int().nonnegative().nullable(),
  }),
  z.object({ type: z.literal('acting'), step: z.int(), call: callSchema }),
  z.object({
    type: z.literal('observed'),
    step: z.int(),
    tool: z.string(),
    status: z.enum(['done', 'refused', 'denied', 'failed']),
    text: z.string(),
    /** Who said it and how sensitive that is, where it is the word of a stranger. */
    said: z.object({ by: z.string(), label: z.enum(labels) }).optional(),
  }),
  z.object({ type: z.literal('ended'), result: agentResultSchema }),
])
export type AgentEvent = z.output<typeof agentEventSchema>

export const RunTask = message('agent.run', {
  request: z.object({
    task: z.string().min(1).max(65_536),
    /** At most this; the agent's own budget bounds it too. */
    budget: budgetSchema.partial().optional(),
    /** The agents that delegated it, the first one first. */
    path: z.array(z.string()).max(16).default([]),
    /** Of a task whose run is kept: given again, it goes on where it was, or tells how it ended. */
    id: z
      .string()
      .regex(/^[\w-]{1,64}$/)
      .optional(),
    /** How sensitive is what led to the task, where that is not to be read in its words. */
    seen: sensitivitySchema.optional(),
  }),
  item: agentEventSchema,
  from: ['supervisor', 'worker', 'gateway'],
  to: ['worker'],
})
