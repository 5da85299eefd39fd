/** What the gateway tells of the mesh to those who watch over it. */
import { z } from 'zod'
import { type HardwareAdvert, hardwareAdvertSchema } from '../../../inference/hardware.js'
import { offerSchema } from '../../../inference/place.js'
import type { MeshNode } from '../../../mesh/index.js'
import { candidates, servedModels } from '../../agents/model/candidate.js'
import { loadSchema } from '../../process/load.js'
import { Refusal } from '../http/refusal.js'
import type { nodesReplySchema } from './schema.js'

const advertSchema = z.object({
  since: z.number().optional().catch(undefined),
  hardware: hardwareAdvertSchema.optional().catch(undefined),
  sandbox: z.boolean().catch(false),
  offers: z.array(offerSchema).catch([]),
  load: loadSchema.optional().catch(undefined),
  notes: z.array(z.string()).catch([]),
})

/** Throws 503 while a prompt would find no model that answers. Whoever has no key hears no names. */
export function readiness(node: MeshNode): object {
  checkServed(node)
  const ready = new Set(candidates(node).flatMap(({ model, away }) => (away === undefined ? [model] : [])))
  if (ready.size > 0) return { status: 'ready', models: ready.size }
  const reasons = [...new Set(candidates(node).map(({ away }) => away))]
  throw notReady(`No model that is served answers now: ${reasons.join('; ')}.`)
}

/** Throws 503 while no node serves a model, whether that answers or not: its server may be back before its node sees it. */
export function checkServed(node: MeshNode): void {
  if (servedModels(node).length === 0) throw notReady('No node serves a model yet.')
}

const notReady = (message: string) => new Refusal(503, 'UNREACHABLE', message, { 'retry-after': '1' })

export const nodesOf = (node: MeshNode): z.output<typeof nodesReplySchema> => ({
  nodes: node.nodes().map(({ name, roles, labels, draining, advert }) => {
    const { model, zone } = advert
    const { since, hardware, sandbox, offers, load = null, notes } = advertSchema.parse(advert)
    const [offer] = offers
    return {
      name,
      roles: [...roles],
      labels: [...labels],
      model: typeof model === 'string' ? model : null,
      zone: typeof model !== 'string' ? null : zone === 'mesh' ? 'mesh' : 'elsewhere',
      draining,
      sandbox,
      slots: offer?.slots ?? null,
      tokensPerSecond: offer?.speed?.decode ?? null,
      load,
      since: since === undefined ? null : new Date(since).toISOString(),
      hardware: hardware ? machineOf(hardware) : null,
      notes,
    }
  }),
})

const machineOf = ({ cpu, memory, accelerators }: HardwareAdvert) => ({
  threads: cpu.threads.value,
  memoryTotal: memory.value.total,
  memoryFree: memory.value.free ?? null,
  accelerators: accelerators.map(({ name }) => name.value),
})

/** Nobody in the mesh says when a model was made, so `created` is 0. */
export const modelsOf = (node: MeshNode) => ({
  object: 'list',
  data: servedModels(node).map((id) => ({ id, object: 'model', created: 0, owned_by: 'clawmesh' })),
})
