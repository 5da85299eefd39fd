/** What a node process is told when it is started: everything it needs, over a pipe that only its parent can write to. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { mcpPlanSchema } from '../agents/mcp/file.js'
import { type Config, modelStore } from '../config.js'

export const nodePlanSchema = z.object({
  /** Files of this node. */
  credentials: z.string(),
  access: z.string(),
  chain: z.string(),
  /** Set for a node that runs actions. */
  sandbox: z
    .object({
      workspace: z.string(),
      /** What its files are called where other machines have them, too. */
      shared: z.string().optional(),
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
    .object({
      modelUrl: z.string().optional(),
      probe: z.boolean(),
      folder: z.string().optional(),
      /** Models of the store that may be loaded when they are asked for; none if left out. */
      stored: z
        .object({
          store: z.string(),
          /** ORGANISATION/NAME of each; all that are there if left out. */
          names: z.array(z.string()).optional(),
          /** Most bytes of memory that they may take together. */
          mostBytes: z.number().positive().optional(),
          idleMs: z.number().positive().optional(),
        })
        .optional(),
    })
    .optional(),
})
export type NodePlan = z.output<typeof nodePlanSchema>

/** What a node process says back. */
export const nodeReportSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('ready'),
    /** What the machine has, in words, and what it offers: models with the bytes of those that are loaded when they are asked for. */
    machine: z.string(),
    models: z.array(z.object({ name: z.string(), backend: z.string().optional(), bytes: z.number().optional() })),
    /** What a person should know of it: above all, why no action can run here. */
    notes: z.array(z.string()),
  }),
  /** The first word of the first answer that this process gave. */
  z.object({ type: z.literal('served'), model: z.string() }),
  /** At first, which is after a while where the mesh is away, and whenever it changes. */
  z.object({ type: z.literal('connection'), connected: z.boolean() }),
  z.object({ type: z.literal('failed'), code: z.string(), message: z.string(), hint: z.string() }),
])
export type NodeReport = z.output<typeof nodeReportSchema>

/** What a person said of models, as far as it is kept. */
export interface ModelsOffered {
  model?: string | undefined
  /** "all", or ORGANISATION/NAME of those that may be loaded, with commas. */
  models?: string | undefined
  modelMemory?: number | undefined
  modelIdleMs?: number | undefined
}

/** Of `--model`: what is found on this machine, and the model that ships where there is nothing. */
export const anyFound = 'auto'

/** What `--model` means; without it, what the configuration names, and then what is found. And which models of the store may be loaded. Throws USAGE for what is no model folder. */
export function planInference(
  { model, models, modelMemory, modelIdleMs }: ModelsOffered,
  { modelUrl, cache }: Pick<Config, 'modelUrl' | 'cache'>,
): NonNullable<NodePlan['inference']> {
  const names = models === 'all' ? undefined : models?.split(',').map((name) => name.trim())
  const stored =
    models === undefined || models === 'none'
      ? undefined
      : { store: modelStore(cache), names, mostBytes: modelMemory, idleMs: modelIdleMs }
  const named = model ?? modelUrl ?? anyFound
  if (named === anyFound) return { probe: true, stored }
  if (named === 'shipped') return { probe: false, stored }
  if (/^[a-z]+:\/\//i.test(named)) return { modelUrl: named, probe: false, stored }
  const folder = resolve(named)
  if (existsSync(folder)) return { folder, probe: false, stored }
  throw new ClawmeshError('USAGE', `There is no model folder ${folder}.`, {
    hint: 'A model is named by its folder, as `clawmesh models pull` makes one, by the address of its server (http://…, grpc://…), by `shipped` for the small one, or by `auto` for a server of this machine that is found.',
  })
}
