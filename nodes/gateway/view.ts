/** What the gateway tells of the mesh to those who watch over it. */
import { z } from 'zod'
import type { MeshNode } from '../../mesh/index.js'
import { servedModels } from '../agents/model.js'
import { Refusal } from './refusal.js'

export const nodesReplySchema = z.object({
  nodes: z.array(
    z.object({
      name: z.string(),
      roles: z.array(z.string()),
      /** What it serves, and where that computes; null for a node that serves none. */
      model: z.string().nullable(),
      zone: z.enum(['mesh', 'elsewhere']).nullable(),
      draining: z.boolean(),
    }),
  ),
})
export type NodesReply = z.output<typeof nodesReplySchema>

/** Throws 503 while a prompt would find no model. */
export function readiness(node: MeshNode): object {
  const models = servedModels(node)
  if (models.length === 0) throw new Refusal(503, 'not_ready', 'No node serves a model yet.', { 'retry-after': '1' })
  return { status: 'ready', models: models.length }
}

export const nodesOf = (node: MeshNode): NodesReply => ({
  nodes: node.nodes().map(({ name, roles, draining, advert: { model, zone } }) => ({
    name,
    roles: [...roles],
    model: typeof model === 'string' ? model : null,
    zone: typeof model !== 'string' ? null : zone === 'mesh' ? 'mesh' : 'elsewhere',
    draining,
  })),
})

/** Nobody in the mesh says when a model was made, so `created` is 0. */
export const modelsOf = (node: MeshNode) => ({
  object: 'list',
  data: servedModels(node).map((id) => ({ id, object: 'model', created: 0, owned_by: 'clawmesh' })),
})
