/** How an agent thinks: it asks a model of the mesh, whichever the router lets see the prompt. */
import { setTimeout } from 'node:timers/promises'
import {
  type Answer,
  collect,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
  type Usage,
} from '../../inference/backend.js'
import { DescribeModel, Generate, inferenceName } from '../../inference/service.js'
import type { CallOptions, MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { join, type Label } from '../../router/label.js'
import { route, type Zone } from '../../router/route.js'

/** Nothing classifies prompts yet: each counts as the most sensitive. */
export const promptLabel: Label = join([])

export interface Thinking {
  /** The name of the model that must be asked; any one if left out. */
  model?: string | undefined
  deadline: number
  signal: AbortSignal
  trace: string
  /** Sees each event of the answer as it comes; the next one waits for it. */
  onEvent?: (event: GenerateEvent) => unknown
  /** Whether what was lost on the way may be asked again now; it may, if left out. */
  again?: () => boolean
}

const againMs = 150

/**
 * The model's answer. Thinking changes nothing, so what was lost on the way (a process that died, a node that went) is asked again until the deadline.
 *
 * Throws DENIED or UNREACHABLE where no model may be asked, MODEL_FAILED for an answer that cannot be used, and what a model throws.
 */
export async function think(node: MeshNode, request: GenerateRequest, thinking: Thinking): Promise<Answer> {
  const { model, deadline, signal, trace, onEvent, again = () => true } = thinking
  for (;;) {
    try {
      const target = node.ref(inferenceName(chooseModel(node, model)))
      return await collect(watched(target.stream(Generate, request, { deadline, signal, trace }), onEvent))
    } catch (error) {
      const failure = ClawmeshError.from(error)
      // An answer that cannot be used is the caller's to judge: asking in the same words would hardly mend it.
      const isLost = failure.retry && failure.code !== 'MODEL_FAILED' && failure.code !== 'DEADLINE'
      if (!isLost || !again() || node.now() + againMs > deadline) throw failure
      await setTimeout(againMs, undefined, { signal })
    }
  }
}

/** What is known of the model that `think` would ask. */
export const describeModel = (node: MeshNode, model: string | undefined, options: CallOptions): Promise<ModelInfo> =>
  node.ref(inferenceName(chooseModel(node, model))).ask(DescribeModel, null, options)

export const tokensOf = (usage: Usage | null): number | null => usage && usage.promptTokens + usage.outputTokens

/** Names of the models that the mesh serves now, each once. */
export function servedModels(node: MeshNode): string[] {
  return [...new Set(serving(node).map(({ model }) => model))].sort()
}

function chooseModel(node: MeshNode, model: string | undefined): string {
  const able = serving(node).filter((candidate) => model === undefined || candidate.model === model)
  if (able.length === 0 && model !== undefined) {
    throw new ClawmeshError('UNREACHABLE', `No node in the mesh serves the model "${model}".`, {
      hint: `Served now: ${servedModels(node).join(', ') || 'none'}.`,
    })
  }
  const allowed = route(promptLabel, able)
  return (allowed[Math.floor(Math.random() * allowed.length)] ?? allowed[0])?.name ?? ''
}

/** A node that does not say where its model computes has none in the mesh. */
function serving(node: MeshNode): { name: string; model: string; zone: Zone }[] {
  return node.nodes().flatMap(({ name, roles, draining, advert: { model, zone } }) => {
    if (!roles.includes('inference') || draining || typeof model !== 'string') return []
    return [{ name, model, zone: zone === 'mesh' ? 'mesh' : 'elsewhere' }]
  })
}

async function* watched(events: AsyncIterable<GenerateEvent>, onEvent: Thinking['onEvent']) {
  for await (const event of events) {
    await onEvent?.(event)
    yield event
  }
}
