/** Which models can be asked: those of the nodes of the mesh, and those elsewhere whose key one of its nodes holds. */
import { z } from 'zod'
import type { ModelInfo } from '../../../inference/backend.js'
import { isKnown, type ModelOffer, offerSchema } from '../../../inference/place.js'
import { DescribeModel, inferenceName } from '../../../inference/service.js'
import type { CallOptions, MeshNode, NodeInfo } from '../../../mesh/index.js'
import type { Advert } from '../../../mesh/membership.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Zone } from '../../../router/route.js'
import { elsewhereOf } from '../../elsewhere.js'

/** Stands for a model elsewhere where the rules let the prompt leave, and for one of the mesh where they do not. */
export const auto = 'auto'

export interface Candidate {
  /** The node of a model of the mesh; `provider/model` of one elsewhere. */
  name: string
  model: string
  zone: Zone
  /** The node that holds the key. */
  holder?: string
  /** Of its files, where the node says. */
  digest?: string | undefined
  /** Set when it knows these tools and no other, and holds no conversation. */
  tools?: readonly string[] | undefined
  /** It computes on an accelerator of its node. */
  gpu?: boolean | undefined
  /** Why it would give no answer now, as its node last saw. */
  away?: string | undefined
}

const offeredSchema = z.array(
  offerSchema.pick({ model: true, digest: true, backend: true, tools: true, away: true, draining: true }),
)
const acceleratedSchema = z.object({ accelerators: z.array(z.unknown()).min(1) })

/** A node that does not say where its model computes has none in the mesh, and without a key no model elsewhere is asked. */
export const candidates = (node: MeshNode): Candidate[] => candidatesOf(node.nodes())

export function candidatesOf(nodes: readonly NodeInfo[]): Candidate[] {
  const here = nodes.flatMap(({ name, roles, draining, advert }): Candidate[] => {
    if (!roles.includes('inference') || draining) return []
    const zone = advert['zone'] === 'mesh' ? 'mesh' : 'elsewhere'
    const hasGpu = hasAccelerator(advert)
    return modelsOf(advert).map(({ model, digest, backend, tools, away }) => ({
      ...{ name, model, digest, tools, zone, away },
      gpu: hasGpu && backend !== undefined && backend !== 'onnx',
    }))
  })
  const elsewhere = elsewhereOf(nodes)
  const there = (elsewhere?.models ?? []).map(
    (model): Candidate => ({ name: model, model, zone: 'elsewhere', holder: elsewhere?.holder ?? '' }),
  )
  return [...here, ...there]
}

const hasAccelerator = ({ hardware }: Advert): boolean => acceleratedSchema.safeParse(hardware).success

/** Of one that says nothing else of its models, only which the first is, there is no more to know. */
function modelsOf({ model, offers }: Advert): Pick<ModelOffer, 'model' | 'digest' | 'backend' | 'tools' | 'away'>[] {
  const offered = offeredSchema.safeParse(offers).data
  if (offered && offered.length > 0) return offered.filter(({ draining }) => draining === undefined)
  return typeof model === 'string' ? [{ model }] : []
}

/** Names of the models that can be asked now, each once; those elsewhere as `provider/model`. */
export function servedModels(node: MeshNode): string[] {
  return [...new Set(candidates(node).map(({ model }) => model))].sort()
}

/** Why no node takes requests for a model that some of them have; undefined where one does, or none has it. */
export function whyDrained(node: MeshNode, model: string): string | undefined {
  if (servedModels(node).includes(model)) return undefined
  const reasons = node.nodes().flatMap(({ roles, draining, advert }) => {
    if (!roles.includes('inference')) return []
    const offered = offeredSchema.safeParse(advert['offers']).data?.find((offer) => offer.model === model)
    if (draining) return offered || advert['model'] === model ? ['its node is draining'] : []
    return offered?.draining ?? []
  })
  return reasons[0]
}

/** Those of the mesh, with the node of each: one model may be served by several. */
export const modelsOfMesh = (node: MeshNode): { node: string; model: string }[] =>
  candidates(node).flatMap(({ name, model, zone }) => (zone === 'mesh' ? [{ node: name, model }] : []))

/** Those of this name. Throws UNREACHABLE if there are none. */
export function named(all: readonly Candidate[], model: string | undefined): Candidate[] {
  const able = all.filter((candidate) => model === undefined || model === auto || candidate.model === model)
  return able.length > 0 ? able : unreachable(model, all)
}

/** Models of the mesh first, unless `auto` was asked for. */
export function usualOrder(able: readonly Candidate[], model: string | undefined): Candidate[] {
  const first: Zone = model === auto ? 'elsewhere' : 'mesh'
  return able.toSorted((a, b) => Number(b.zone === first) - Number(a.zone === first))
}

export const drawn = (able: readonly Candidate[]): Candidate =>
  able[Math.floor(Math.random() * able.length)] ?? unreachable(undefined, [])

export function unreachable(model: string | undefined, all: readonly Candidate[]): never {
  if (model === undefined || model === auto || all.length === 0) {
    throw new ClawmeshError('UNREACHABLE', 'No node in the mesh serves a model.', {
      hint: 'Start a node with the role inference.',
    })
  }
  throw new ClawmeshError('UNREACHABLE', `No node in the mesh serves the model "${model}".`, {
    hint: `Served now: ${[...new Set(all.map((each) => each.model))].sort().join(', ')}.`,
  })
}

/** Those of the mesh that can be asked with these tools, none: for a conversation; where none can, all of them, and the one that is asked says so. */
export function suited(able: readonly Candidate[], wanted: readonly string[]): readonly Candidate[] {
  const some = able.filter(({ tools }) => isKnown(wanted, tools))
  return some.length > 0 ? some : able
}

/** What is known of the model that `think` would ask with these tools. */
export async function describeModel(
  node: MeshNode,
  model: string | undefined,
  tools: readonly string[],
  options: CallOptions,
): Promise<ModelInfo> {
  const preferred = usualOrder(named(candidates(node), model), model)
  // Any model of the mesh will do as well as another.
  const first =
    preferred[0]?.zone === 'mesh'
      ? drawn(
          suited(
            preferred.filter(({ zone }) => zone === 'mesh'),
            tools,
          ),
        )
      : preferred[0]
  if (first?.holder === undefined)
    return node.ref(inferenceName(first?.name ?? '')).ask(DescribeModel, first?.model ?? null, options)
  return {
    name: first.model,
    digest: null,
    backend: `elsewhere:${first.holder}`,
    context: null,
    purpose: 'asked elsewhere, where the router rules let a prompt leave',
    limits: 'its provider says',
  }
}
