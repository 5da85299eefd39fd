/** Gives a node of this process what boot gives a node process: a model, or a sandbox. */
import type { Backend } from '../../inference/backend.js'
import { inferenceName, inferenceService } from '../../inference/service.js'
import type { MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Profile } from '../../policies/profile.js'
import { sandboxAvailability } from '../../sandbox/availability.js'
import { sandboxName, sandboxService } from '../../sandbox/service.js'
import { offerOf } from './placing.js'

/** The backend stays the caller's: dispose of it after the node has left. */
export async function serveModel(node: MeshNode, backend: Backend): Promise<void> {
  await node.note('model.loaded', { ...backend.model })
  await node.spawn(inferenceService(backend), { as: inferenceName(node.name) })
  await advertise(node, { model: backend.model.name, zone: 'mesh', embeds: backend.embed !== undefined })
}

/** Throws SANDBOX_UNAVAILABLE, with the reason, where this machine cannot hold actions. */
export async function serveSandbox(node: MeshNode, options: { workspace: string; profile: Profile }): Promise<void> {
  const availability = await sandboxAvailability()
  if (!availability.available)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', availability.reason, { hint: availability.hint })
  await node.spawn(sandboxService(node, options), { as: sandboxName(node.name) })
  await advertise(node, { sandbox: true })
}

/** Tells others how fast the model is, once that was measured: a node is ready before. */
export async function advertiseSpeed(node: MeshNode, backend: Backend): Promise<void> {
  if (await backend.measured) await advertise(node, { offers: [offerOf(backend)] })
}

export const advertise = (node: MeshNode, more: Record<string, unknown>): Promise<void> =>
  node.directory.describe({ ...node.directory.node(node.name)?.advert, ...more })
