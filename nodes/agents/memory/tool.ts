/** An agent's memory as its tools. What is recalled raises the label of the run: who reads a confidential memory has read something confidential. */
import { z } from 'zod'
import { type ToolSpec, toolSpecSchema } from '../../../inference/tool.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { RouterSession } from '../../../router/session.js'
import { longestText, type Memory } from './memory.js'

export interface MemoryTool {
  readonly kind: 'memory'
  readonly spec: ToolSpec
  readonly memory: Memory
  /** Throws MESSAGE_INVALID for arguments that do not fit, and what the memory throws. */
  use(args: Record<string, unknown>, run: Run): Promise<string>
}

export interface Run {
  readonly session: RouterSession
  /** Who remembers, and in which task. */
  readonly source: string
}

export function memoryTools(memory: Memory): MemoryTool[] {
  const tool = <A extends z.ZodObject>(
    name: string,
    description: string,
    args: A,
    use: (args: z.output<A>, run: Run) => Promise<string>,
  ): MemoryTool => {
    const { $schema: _, ...parameters } = z.toJSONSchema(args)
    return {
      kind: 'memory',
      memory,
      spec: toolSpecSchema.parse({ name, description, parameters }),
      use: async (given, run) => {
        const parsed = args.safeParse(given)
        if (!parsed.success) throw new ClawmeshError('MESSAGE_INVALID', `${name}: ${z.prettifyError(parsed.error)}`)
        return use(parsed.data, run)
      },
    }
  }
  return [
    tool(
      'remember',
      'Keep a text for later tasks.',
      z.strictObject({ text: z.string().min(1).max(longestText) }),
      async ({ text }, { session, source }) => {
        const { id } = await memory.remember(text, { seen: session.sensitivity, source })
        return `remembered as ${id}`
      },
    ),
    tool(
      'recall',
      'Look for texts kept in earlier tasks, by words that they share with the question.',
      z.strictObject({ question: z.string().min(1).max(longestText), most: z.int().min(1).max(20).optional() }),
      async ({ question, most }, { session }) => {
        const found = memory.recall(question, most)
        for (const { seen } of found) session.raise(seen)
        return found.map(({ id, text, source }) => `${id} (${source}): ${text}`).join('\n') || 'nothing'
      },
    ),
    tool(
      'forget',
      'Erase a text that was kept, by its id.',
      z.strictObject({ id: z.string().min(1).max(64) }),
      async ({ id }) => ((await memory.forget(id)) ? `${id} is forgotten` : `there is no ${id}`),
    ),
  ]
}
