/** Which node a prompt goes to: from what the nodes say of their models, by `place`. */
import { z } from 'zod'
import type { Backend } from '../../inference/backend.js'
import { type Demand, type ModelOffer, type Offer, offerSchema, place } from '../../inference/place.js'
import type { NodeInfo } from '../../mesh/index.js'

/** What a node says of the model that it serves, once it is loaded. */
export function offerOf({ model, slots = 1, speed }: Backend): ModelOffer {
  return {
    model: model.name,
    modalities: ['text'],
    context: model.context,
    slots,
    running: 0,
    queued: 0,
    queuedTokens: 0,
    ...(speed ? { speed } : {}),
  }
}

const offersSchema = z.array(offerSchema)

/** The offers of nodes; what a node says that is none is left out. */
export function offersOf(nodes: readonly Pick<NodeInfo, 'name' | 'draining' | 'advert'>[]): Offer[] {
  // Looked at for each prompt: what most nodes do not say need not be parsed to know it.
  const able = nodes.filter(({ advert }) => advert['offers'] !== undefined)
  return able.flatMap(({ name, draining, advert }) =>
    (offersSchema.safeParse(advert['offers']).data ?? []).map((offer) => ({
      ...offer,
      node: name,
      zone: advert['zone'] === 'mesh' ? 'mesh' : 'elsewhere',
      // A node that is not is lost, and none of these.
      healthy: true,
      draining,
      networkMs: 0,
    })),
  )
}

/** The node for a prompt of so many characters among those that may see it; undefined if none of them can take it. */
export function chooseNode(
  nodes: Parameters<typeof offersOf>[0],
  zones: Demand['zones'],
  characters: number,
): string | undefined {
  // Four characters a token is the usual measure for English.
  const demand: Demand = { zones, modalities: ['text'], promptTokens: Math.ceil(characters / 4), outputTokens: 32 }
  return place(demand, offersOf(nodes), Math.random).chosen?.node
}
