/** What a node process is told when it is started: everything it needs, over a pipe that only its parent can write to. */
import { resolve } from 'node:path'
import { z } from 'zod'
import { mcpPlanSchema } from '../agents/mcp/file.js'

export const nodePlanSchema = z.object({
  /** Files of this node. */
  credentials: z.string(),
  access: z.string(),
  chain: z.string(),
  /** Set for a node that runs actions. */
  sandbox: z
    .object({
      workspace: z.string(),
      /** The text of the policy file and its name. */
      policy: z.string(),
      policyName: z.string(),
      /** Whether it goes by the mesh's policy where there is one. */
      follows: z.boolean().exactOptional(),
    })
    .optional(),
  /** Servers whose tools agents of the mesh may use; each runs in a sandbox of its own. */
  mcp: z.array(mcpPlanSchema).optional(),
  /** Set for a node that serves a model. */
  inference: z
    .object({ modelUrl: z.string().optional(), probe: z.boolean(), folder: z.string().optional() })
    .optional(),
})
export type NodePlan = z.output<typeof nodePlanSchema>

/** What a node process says back. */
export const nodeReportSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  /** At first, and whenever it changes. */
  z.object({ type: z.literal('connection'), connected: z.boolean() }),
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string(), hint: z.string() }),
])
export type NodeReport = z.output<typeof nodeReportSchema>

/** What `--model` means; without it, what the configuration names, and then what is found. */
export function planInference(
  model: string | undefined,
  modelUrl: string | undefined,
): NonNullable<NodePlan['inference']> {
  if (model === undefined) return { modelUrl, probe: true }
  if (/^[a-z]+:\/\//i.test(model)) return { modelUrl: model, probe: false }
  return { folder: model === 'shipped' ? undefined : resolve(model), probe: false }
}
