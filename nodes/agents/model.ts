/**
 * How the product thinks: every question to a model goes through `think`. It is judged by the rules of the mesh, goes to a model that they let see it, and
 * what it used is on the audit trail.
 *
 * 1. A prompt goes nowhere before it has been read and the decision is on record; what cannot be read goes nowhere.
 * 2. What is asked again is chosen again from the same decision: no retry, and no model that is lost, takes a prompt where it may not go.
 */
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
import { complexityOf, inOrder } from '../../policies/complexity.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { RouteDecision } from '../../policies/router.js'
import { choose, type Zone } from '../../router/route.js'
import type { RouterSession } from '../../router/session.js'
import { AskElsewhere, elsewhereName, holderOf } from '../elsewhere.js'
import { chooseNode } from '../process/placing.js'
import { recordUse } from './costs.js'
import { routerOf } from './privacy.js'

/** Stands for a model elsewhere where the rules let the prompt leave, and for one of the mesh where they do not. */
export const auto = 'auto'

export interface Thinking {
  /** The model that must be asked, or `auto`. Left out: any of the mesh, and one elsewhere only where the mesh has none. */
  model?: string | undefined
  /** What the line of work has seen; rises with the request. */
  session: RouterSession
  /** Who asks, as the audit trail names it. */
  actor: string
  deadline: number
  signal: AbortSignal
  trace: string
  /** Is told the model that is asked, each time. */
  onModel?: (model: string) => void
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
  const { session, actor, deadline, signal, trace, model, again = () => true } = thinking
  const router = await routerOf(node)
  const { decision } = await router.judge(session, request, { roles: node.roles, actor, trace })
  const characters = request.messages.reduce((sum, { content }) => sum + content.length, 0)
  const { order: lists } = router.rules
  const measured = { messages: request.messages, tools: request.tools?.length ?? 0 }
  const order = model === auto ? lists[complexityOf(measured, lists.from)] : []
  for (;;) {
    try {
      return await askOnce(node, chooseModel(node, decision, model, characters, order), request, thinking)
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
export async function describeModel(
  node: MeshNode,
  model: string | undefined,
  options: CallOptions,
): Promise<ModelInfo> {
  const preferred = usualOrder(named(candidates(node), model), model)
  // Any model of the mesh will do as well as another.
  const first = preferred[0]?.zone === 'mesh' ? drawn(preferred.filter(({ zone }) => zone === 'mesh')) : preferred[0]
  if (first?.holder === undefined) return node.ref(inferenceName(first?.name ?? '')).ask(DescribeModel, null, options)
  return {
    name: first.model,
    digest: null,
    backend: `elsewhere:${first.holder}`,
    context: null,
    purpose: 'asked elsewhere, where the router rules let a prompt leave',
    limits: 'its provider says',
  }
}

export const tokensOf = (usage: Usage | null): number | null => usage && usage.promptTokens + usage.outputTokens

/** Names of the models that can be asked now, each once; those elsewhere as `provider/model`. */
export function servedModels(node: MeshNode): string[] {
  return [...new Set(candidates(node).map(({ model }) => model))].sort()
}

interface Candidate {
  /** The node of a model of the mesh; `provider/model` of one elsewhere. */
  name: string
  model: string
  zone: Zone
  /** The node that holds the key. */
  holder?: string
}

async function askOnce(
  node: MeshNode,
  { name, model, zone, holder }: Candidate,
  request: GenerateRequest,
  { session, actor, deadline, signal, trace, onModel, onEvent }: Thinking,
): Promise<Answer> {
  const options = { deadline, signal, trace }
  const events =
    holder === undefined
      ? node.ref(inferenceName(name)).stream(Generate, request, options)
      : node
          .ref(elsewhereName(holder))
          .stream(AskElsewhere, { model, request, seen: session.sensitivity, actor }, options)
  onModel?.(model)
  const begun = node.now()
  let hasBegun = false
  let usage: Usage | null = null
  try {
    const answer = await collect(
      watched(events, (event) => {
        hasBegun = true
        return onEvent?.(event)
      }),
    )
    usage = answer.usage
    return answer
  } finally {
    // A model of the mesh that was never reached has cost nothing; of one elsewhere nobody knows.
    if (hasBegun || zone === 'elsewhere')
      await recordUse(node, { trace, actor, model, zone, usage, seconds: (node.now() - begun) / 1000 })
  }
}

/** The model that the decision lets see the prompt, of the mesh the one that will likely answer soonest. */
function chooseModel(
  node: MeshNode,
  decision: RouteDecision,
  model: string | undefined,
  characters: number,
  order: readonly string[],
): Candidate {
  const all = candidates(node)
  // In a mesh with no way out nothing is to be kept from one: the decision is on record, and that is all.
  const isClosed = all.every(({ holder }) => holder === undefined)
  const binding: RouteDecision = isClosed && decision.effect === 'block' ? { ...decision, effect: 'local' } : decision
  const chosen = choose(binding, named(all, model))
  // One elsewhere is asked by the holder of its key alone, whatever a node is called.
  const able = chosen.filter(({ zone, holder }) => zone === 'mesh' || holder !== undefined)
  const allowed = inOrder(order, usualOrder(able, model))
  const [first] = allowed
  if (!first || first.zone === 'elsewhere') return first ?? unreachable(model, [])
  const here = allowed.filter(({ zone }) => zone === 'mesh')
  const names = new Set(here.map(({ name }) => name))
  const nodes = node.nodes().filter(({ name }) => names.has(name))
  const soonest = chooseNode(nodes, ['mesh'], characters)
  return here.find(({ name }) => name === soonest) ?? drawn(here)
}

/** Those of this name. Throws UNREACHABLE if there are none. */
function named(all: readonly Candidate[], model: string | undefined): Candidate[] {
  const able = all.filter((candidate) => model === undefined || model === auto || candidate.model === model)
  return able.length > 0 ? able : unreachable(model, all)
}

/** Models of the mesh first, unless `auto` was asked for. */
function usualOrder(able: readonly Candidate[], model: string | undefined): Candidate[] {
  const first: Zone = model === auto ? 'elsewhere' : 'mesh'
  return able.toSorted((a, b) => Number(b.zone === first) - Number(a.zone === first))
}

const drawn = (able: readonly Candidate[]): Candidate =>
  able[Math.floor(Math.random() * able.length)] ?? unreachable(undefined, [])

function unreachable(model: string | undefined, all: readonly Candidate[]): never {
  if (model === undefined || model === auto || all.length === 0) {
    throw new ClawmeshError('UNREACHABLE', 'No node in the mesh serves a model.', {
      hint: 'Start a node with the role inference.',
    })
  }
  throw new ClawmeshError('UNREACHABLE', `No node in the mesh serves the model "${model}".`, {
    hint: `Served now: ${[...new Set(all.map((each) => each.model))].sort().join(', ')}.`,
  })
}

/** A node that does not say where its model computes has none in the mesh, and without a key no model elsewhere is asked. */
function candidates(node: MeshNode): Candidate[] {
  const here = node.nodes().flatMap(({ name, roles, draining, advert: { model, zone } }): Candidate[] => {
    if (!roles.includes('inference') || draining || typeof model !== 'string') return []
    return [{ name, model, zone: zone === 'mesh' ? 'mesh' : 'elsewhere' }]
  })
  const elsewhere = holderOf(node)
  const there = (elsewhere?.models ?? []).map(
    (model): Candidate => ({ name: model, model, zone: 'elsewhere', holder: elsewhere?.holder ?? '' }),
  )
  return [...here, ...there]
}

async function* watched(events: AsyncIterable<GenerateEvent>, onEvent: Thinking['onEvent']) {
  for await (const event of events) {
    await onEvent?.(event)
    yield event
  }
}
