/** What a question to a model used, as one audit event: the ledger of costs is the audit trail. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { type Usage, usageSchema } from '../../../inference/backend.js'
import type { MeshNode } from '../../../mesh/index.js'
import { installation } from '../../../mesh/installation.js'
import { type Prices, parsePrices } from '../../../policies/prices.js'

export interface Use {
  /** The task. */
  readonly trace: string
  readonly actor: string
  readonly model: string
  readonly zone: 'mesh' | 'elsewhere'
  /** null: nobody said, or the answer broke off. */
  readonly usage: Usage | null
  /** From the question to the end of the answer, as the asker saw it: what a model of the mesh computed, it computed within them. */
  readonly seconds: number
  /** The node of the model has an accelerator, and the model is not one that computes on the CPU. */
  readonly gpu?: boolean | undefined
  /** Pieces of an answer that had come when it broke off or was cancelled: computed for nobody. A token each where the model streams by tokens. */
  readonly burned?: number | undefined
}

/** The facts of a `model.used` event. */
export const usedSchema = z.object({
  model: z.string(),
  zone: z.enum(['mesh', 'elsewhere']),
  /** What the asking node is certified for. */
  roles: z.array(z.string()),
  usage: usageSchema.nullable(),
  seconds: z.number().nonnegative().max(1e9),
  burned: z.int().nonnegative().default(0),
  gpu: z.boolean().default(false),
  /** The version of the price table of that time. */
  prices: z.string(),
})

let version: string | undefined

export function recordUse(
  node: MeshNode,
  { trace, actor, model, zone, usage, seconds, burned = 0, gpu = false }: Use,
): Promise<void> {
  version ??= readPrices().version
  const facts: z.input<typeof usedSchema> = {
    model,
    zone,
    roles: [...node.roles],
    usage,
    seconds,
    burned,
    gpu,
    prices: version,
  }
  return node.audit.record({ kind: 'model.used', trace, actor, facts })
}

export const readPrices = (path = join(installation, 'policies', 'prices.yaml')): Prices =>
  parsePrices(readFileSync(path, 'utf8'), path)

/** null: nobody counted them. */
export const tokensOf = (usage: Usage | null): number | null => usage && usage.promptTokens + usage.outputTokens
