/**
 * Takes a node, or one of its GPUs, out of use without ending anything: an actor on each node that `clawmesh nodes drain` speaks to.
 *
 * 1. What is asked is kept on disk first, so that a node that is started again still drains.
 * 2. The mesh is told before the models refuse: whoever is refused finds another node.
 */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Shelf } from '../../inference/shelf.js'
import { writeWhole } from '../../mesh/disk.js'
import { actor, type MeshNode, message, on } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'

const drainedSchema = z.object({ node: z.boolean(), gpus: z.array(z.string()) })
export type Drained = z.output<typeof drainedSchema>

export const Drain = message('node.drain', {
  /** `gpu`: one alone; null: the node as a whole. */
  request: z.object({ draining: z.boolean(), gpu: z.string().nullable() }),
  reply: drainedSchema,
  from: ['authority', 'supervisor'],
})

export const drainName = (node: string) => `drain/${node}`

/** Nothing drains. */
export const inUse: Drained = { node: false, gpus: [] }

/** What drained when the node last ran. Throws USAGE for a file that cannot be read: what drained is not put to use by a mistake. */
export function readDrained(file: string): Drained {
  if (!existsSync(file)) return inUse
  try {
    return drainedSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${file} cannot be read, so it is not known what of this node drains.`, {
      hint: 'Remove it to use all of the node, or drain it again.',
      cause,
    })
  }
}

export interface DrainOptions {
  shelf?: Shelf | undefined
  /** Where it is kept; in memory if left out. */
  file?: string
  /** Ids of the GPUs of this machine. */
  gpus?: readonly string[]
}

/** Drains what drained before, and listens for orders. */
export async function serveDrain(node: MeshNode, { shelf, file, gpus = [] }: DrainOptions): Promise<void> {
  let drained = file === undefined ? inUse : readDrained(file)
  const apply = async (): Promise<void> => {
    await node.directory.describe({ drainingGpus: drained.gpus }, drained.node)
    shelf?.drain(drained.node, drained.gpus)
    // What is offered changes with it.
    await node.directory.describe({})
  }
  if (drained.node || drained.gpus.length > 0) await apply()
  const orders = actor('drain', () => [
    on(Drain, async ({ draining, gpu }, { sender }) => {
      if (gpu !== null && !gpus.includes(gpu)) throw noGpu(node.name, gpu, gpus)
      const others = drained.gpus.filter((each) => each !== gpu)
      const next =
        gpu === null ? { ...drained, node: draining } : { ...drained, gpus: draining ? [...others, gpu] : others }
      if (file !== undefined) writeWhole(file, JSON.stringify(next))
      drained = next
      await apply()
      await node.note('node.drained', { ...next, by: sender.node })
      return next
    }),
  ])
  await node.spawn(orders, { as: drainName(node.name) })
}

function noGpu(node: string, gpu: string, gpus: readonly string[]): ClawmeshError {
  return new ClawmeshError('NOT_FOUND', `Node "${node}" has no GPU ${gpu}.`, {
    hint: gpus.length > 0 ? `It has: ${gpus.join(', ')}.` : 'It has none that can be told by an id.',
  })
}
