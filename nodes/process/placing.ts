/** Which node a prompt goes to: from what the nodes say of their models, and what was sent to them from here, by `place`. */
import { z } from 'zod'
import { boundsThought, type GenerateRequest, modalitiesOf } from '../../inference/backend.js'
import { guessTokens } from '../../inference/metered.js'
import { type Demand, isKnown, type Offer, offerSchema, type Placement, place } from '../../inference/place.js'
import type { NodeInfo } from '../../mesh/index.js'
import { blocksOf, blockTokens, type Sent } from './sent.js'
import { waySchema } from './way.js'

export type Known = Pick<NodeInfo, 'name' | 'draining' | 'advert'>

const offersSchema = z.array(offerSchema)

/** The offers of nodes, with what is under way to them from here; what a node says that is none is left out. */
export function offersOf(nodes: readonly Known[], sent?: Sent, blocks: readonly string[] = []): Offer[] {
  // Looked at for each prompt: what most nodes do not say need not be parsed to know it.
  const able = nodes.filter(({ advert }) => advert['offers'] !== undefined)
  return able.flatMap(({ name, draining, advert }) =>
    (offersSchema.safeParse(advert['offers']).data ?? []).map((offer) => {
      const from = sent?.count(name, offer.model) ?? 0
      const running = Math.max(offer.running, Math.min(offer.slots, from))
      return {
        ...offer,
        running,
        queued: Math.max(offer.queued, from - running),
        node: name,
        zone: advert['zone'] === 'mesh' ? 'mesh' : 'elsewhere',
        // A node that is not is lost, and none of these; the server of its model may be.
        healthy: offer.away === undefined,
        draining: draining ? 'its node is draining' : (offer.draining ?? false),
        // From the broker to it; the way from here to the broker is the same to all.
        networkMs: waySchema.parse(advert['wayMs']),
        ...(sent ? { blocks: sent.known(name, offer.model, blocks) } : {}),
      }
    }),
  )
}

export type Asked = Pick<GenerateRequest, 'messages' | 'tools' | 'maxTokens' | 'thinking' | 'thoughtTokens'>

/** Answers are seldom as long as they may be. */
const usualTokens = 32

export function demandOf(request: Asked, zones: Demand['zones'], models?: readonly string[]): Demand {
  return {
    zones,
    modalities: modalitiesOf(request),
    tools: namesOf(request),
    boundsThought: boundsThought(request),
    promptTokens: guessTokens(request),
    outputTokens: Math.min(request.maxTokens, usualTokens),
    mostTokens: request.maxTokens,
    ...(models ? { models } : {}),
    blocks: blocksOf(request),
    blockTokens,
  }
}

export const namesOf = ({ tools = [] }: Pick<Asked, 'tools'>): string[] => tools.map(({ name }) => name)

export interface Placed extends Placement {
  /** No context holds an answer as long as it may be: where it is placed it may end sooner. */
  short: boolean
}

/**
 * Where a request is placed among nodes that may see it, with the reasons. Where no context holds the longest answer, one that holds a usual one will do; where no model knows its tools, it is for
 * one of them to say so.
 */
export function placeAmong(
  nodes: readonly Known[],
  request: Asked,
  { zones, models, sent }: { zones: Demand['zones']; models?: readonly string[]; sent?: Sent },
): Placed {
  const { tools: wanted = [], ...unsuited } = demandOf(request, zones, models)
  const offers = offersOf(nodes, sent, unsuited.blocks)
  const isAnyAble = offers.some(
    ({ zone, model, tools }) => zones.includes(zone) && (models?.includes(model) ?? true) && isKnown(wanted, tools),
  )
  const demand = isAnyAble ? { ...unsuited, tools: wanted } : unsuited
  const placed = place(demand, offers, Math.random)
  if (placed.chosen || !placed.reasons.some((reason) => 'by' in reason && reason.by === 'context'))
    return { ...placed, short: false }
  const usual = place({ ...demand, mostTokens: demand.outputTokens }, offers, Math.random)
  return usual.chosen ? { ...usual, short: true } : { ...placed, short: false }
}
